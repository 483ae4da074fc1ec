"""The node of peer.py with one thing wrong: what `bully grade` must find, one fault a check.

    python3 faulty.py --fault NAME HOST PORT SU_ID --days N [OPTIONS OF peer.py]

Each fault is as small as can be, so that only the check it belongs to fails.
"""

import os
import random
import socket
import sys
import threading
import time

import lab
import peer

FAULTS = {}


def fault(name):
    """Make the class below it the node with the fault `name`."""
    def register(kind):
        FAULTS[name] = kind
        return kind
    return register


# Joining

@fault('joins-as-another')
class JoinsAsAnother(peer.Peer):
    """Tells the coordinator days that it was not given."""

    def __init__(self, options):
        options.days -= 40
        super().__init__(options)


@fault('joins-twice')
class JoinsTwice(peer.Peer):
    """Sends JOIN two times."""

    def join(self):
        super().join()
        super().join()


@fault('wrong-address')
class WrongAddress(peer.Peer):
    """Tells a port at which nobody listens."""

    def address(self):
        return '127.0.0.1', 1


@fault('fixed-port')
class FixedPort(peer.Peer):
    """Listens on a port of its own choice."""

    def __init__(self, options):
        options.bind_port = options.fixed_port
        super().__init__(options)


# Whom it asks, and what it says

@fault('no-start')
class NoStart(peer.Peer):
    """Starts no election when it has joined."""

    def elect(self, cause):
        if cause != 'joined':
            super().elect(cause)


@fault('days-alone')
class DaysAlone(peer.Peer):
    """Compares days and not ids."""

    def elect(self, cause):
        everybody = self.members
        self.members = {pid: address for pid, address in everybody.items()
                        if pid[0] != self.pid[0] or pid == self.pid}
        super().elect(cause)
        self.members = {**everybody, **self.members}


@fault('asks-lower')
class AsksLower(peer.Peer):
    """Sends ELECTION to a lower member too, when there are greater ones."""

    def elect(self, cause):
        super().elect(cause)
        lower = [pid for pid in self.members if pid < self.pid]
        if lower and max(self.members) != self.pid:
            self.open(min(lower), 'ELECTION', 1.0, quiet=True)


@fault('bare-election')
class BareElection(peer.Peer):
    """Sends ELECTION without the list of members."""

    def __init__(self, options):
        options.bare = True
        super().__init__(options)


@fault('not-itself')
class NotItself(peer.Peer):
    """Leaves itself out of the list that goes with ELECTION."""

    def message(self, name):
        if name != 'ELECTION':
            return super().message(name)
        others = {pid: at for pid, at in self.members.items() if pid != self.pid}
        return name, self.written(others)


@fault('slow-victory')
class SlowVictory(peer.Peer):
    """Knows that nobody is greater, and waits all the same."""

    def win(self):
        if any(pid > self.pid for pid in self.members):
            super().win()
        else:
            self.later(6.0, super().win)


@fault('stops-at-refused')
class StopsAtRefused(peer.Peer):
    """Announces itself to one after the other, and stops at the first who is gone."""

    def win(self):
        self.electing = False
        self.lead_by(self.pid)
        self.announce_from(0)

    def announce_from(self, place):
        """Tell member number `place`, and so on."""
        others = sorted((pid for pid in self.members if pid != self.pid), reverse=True)
        if place < len(others):
            exchange = self.open(others[place], 'COORDINATOR', peer.SEND_WITHIN)
            exchange.place = place

    def end(self, exchange, how):
        was_open = exchange.open
        super().end(exchange, how)
        if was_open and how in ('done', 'silent') and hasattr(exchange, 'place'):
            self.announce_from(exchange.place + 1)


# Waiting

@fault('waits-for-ok')
class WaitsForOk(peer.Peer):
    """Waits for ever for members that accept and do not answer."""

    def election_outcome(self, exchange, how):
        if how != 'silent' or not exchange.connected:
            super().election_outcome(exchange, how)


@fault('hasty')
class Hasty(peer.Peer):
    """Declares itself the leader after a tenth of a second."""

    def open(self, pid, name, within, election=None, quiet=False):
        return super().open(pid, name, 0.1 if name == 'ELECTION' else within, election, quiet)


@fault('waits-for-coordinator')
class WaitsForCoordinator(peer.Peer):
    """Waits for ever for whoever answered OK to announce itself."""

    def elect_again(self, election):
        pass


@fault('elects-on')
class ElectsOn(peer.Peer):
    """Starts over though whoever answered OK has announced itself."""

    def elect_again(self, election):
        if self.election == election:
            self.elect('no COORDINATOR')


@fault('ignores-coordinator')
class IgnoresCoordinator(peer.Peer):
    """Reads COORDINATOR and takes nothing from it."""

    def handle(self, exchange, message):
        if lab.name_of(message) == 'COORDINATOR':
            exchange.name = 'COORDINATOR'
            self.end(exchange, 'done')
        else:
            super().handle(exchange, message)


@fault('ignores-ok')
class IgnoresOk(peer.Peer):
    """Declares itself the leader though it received OK."""

    def election_outcome(self, exchange, how):
        super().election_outcome(exchange, 'silent' if how == 'answered' else how)


@fault('waits-for-connect')
class WaitsForConnect(peer.Peer):
    """Waits for ever for members that neither accept nor refuse."""

    def election_outcome(self, exchange, how):
        if how != 'silent' or exchange.connected:
            super().election_outcome(exchange, how)


# Being asked

@fault('wrong-ok')
class WrongOk(peer.Peer):
    """Answers with another word."""

    def ok(self):
        return 'YES'


@fault('no-own-election')
class NoOwnElection(peer.Peer):
    """Answers ELECTION and leaves it at that."""

    def elect(self, cause):
        if cause != 'asked' or self.leader is None:
            super().elect(cause)


@fault('elects-always')
class ElectsAlways(peer.Peer):
    """Starts another election when asked during one."""

    def handle(self, exchange, message):
        if lab.name_of(message) == 'ELECTION':
            self.electing = False
        super().handle(exchange, message)


@fault('ignores-election-list')
class IgnoresElectionList(peer.Peer):
    """Takes no member over from ELECTION."""

    def handle(self, exchange, message):
        known = dict(self.members)
        super().handle(exchange, message)
        if lab.name_of(message) == 'ELECTION':
            self.members = known

    def elect(self, cause):
        if cause == 'asked':
            self.members = dict(self.before)
        super().elect(cause)

    def learn(self, payload):
        self.before = dict(self.members)
        return super().learn(payload)


@fault('ignores-coordinator-list')
class IgnoresCoordinatorList(peer.Peer):
    """Takes no member over from COORDINATOR but the leader."""

    def handle(self, exchange, message):
        known = dict(self.members)
        super().handle(exchange, message)
        if lab.name_of(message) == 'COORDINATOR':
            leader = self.leader
            address = self.members.get(leader)
            self.members = known
            if address:
                self.members[leader] = address


# Blocking

def blocks(exchange, seconds):
    """Wait for the answer on a connection with everything else at a standstill."""
    exchange.sock.setblocking(True)
    exchange.sock.settimeout(seconds)
    try:
        exchange.heard += exchange.sock.recv(1024, socket.MSG_PEEK)[:0]
    except OSError:
        pass
    exchange.sock.setblocking(False)


@fault('blocks-on-ok')
class BlocksOnOk(peer.Peer):
    """Waits for each OK before it does anything else, at most two seconds."""

    def sent(self, exchange):
        if exchange.pid and exchange.name == 'ELECTION':
            blocks(exchange, 2.0)
        super().sent(exchange)


@fault('blocks-on-connect')
class BlocksOnConnect(peer.Peer):
    """Waits for each connection to stand before it does anything else, at most two seconds."""

    def open(self, pid, name, within, election=None, quiet=False):
        connect = socket.socket.connect_ex

        def at_a_standstill(sock, address):
            sock.settimeout(2.0)
            failed = connect(sock, address)
            sock.setblocking(False)
            return failed

        class Blocking(socket.socket):
            """A socket that connects before anything else is done."""

            connect_ex = at_a_standstill

        usual, socket.socket = socket.socket, Blocking
        try:
            return super().open(pid, name, within, election, quiet)
        finally:
            socket.socket = usual


# Connections and words

@fault('two-messages')
class TwoMessages(peer.Peer):
    """Sends COORDINATOR twice on the same connection."""

    def open(self, pid, name, within, election=None, quiet=False):
        exchange = super().open(pid, name, within, election, quiet)
        if name == 'COORDINATOR':
            message = self.pickled(self.message(name))
            exchange.pieces = iter([message, message])
        return exchange


@fault('never-closes')
class NeverCloses(peer.Peer):
    """Leaves all its connections open."""

    def __init__(self, options):
        options.never_close = True
        super().__init__(options)


@fault('keeps-others-open')
class KeepsOthersOpen(peer.Peer):
    """Closes the connections that it opened, and none that others did."""

    def __init__(self, options):
        super().__init__(options)
        self.left = []

    def end(self, exchange, how):
        if exchange.open and exchange.pid is None:
            self.left.append(exchange.sock.dup())
            del self.left[:-peer.KEPT_MAX]
        super().end(exchange, how)


@fault('closes-late')
class ClosesLate(peer.Peer):
    """No fault: closes each connection two seconds after its exchange."""

    def end(self, exchange, how):
        if exchange.open:
            self.later(2.0, exchange.sock.dup().close)
        super().end(exchange, how)


@fault('quiet')
class Quiet(peer.Peer):
    """Writes nothing."""

    def emit(self, event, **fields):
        pass


@fault('talks-past')
class TalksPast(peer.Peer):
    """Writes, and never about elections."""

    def emit(self, event, **fields):
        print('tick', flush=True)


# PROBE

@fault('probes-evenly')
class ProbesEvenly(peer.Peer):
    """Sends PROBE every second."""

    def probe(self):
        peer.PROBE_EVERY = (1.0, 1.0)
        super().probe()


@fault('probes-everybody')
class ProbesEverybody(peer.Peer):
    """Sends PROBE to all members."""

    def probe(self):
        super().probe()
        if not self.electing:
            for pid in self.members:
                if pid not in (self.pid, self.leader):
                    self.open(pid, 'PROBE', peer.PROBE_WITHIN, quiet=True)


@fault('minds-no-failure')
class MindsNoFailure(peer.Peer):
    """Sends PROBE and does not mind what comes of it."""

    def probe_outcome(self, exchange, how):
        pass


@fault('answers-no-probe')
class AnswersNoProbe(peer.Peer):
    """Reads PROBE and does not answer."""

    def __init__(self, options):
        options.probe = 'silent'
        super().__init__(options)


# Pretending to fail

@fault('feigns')
class Feigns(peer.Peer):
    """No fault: pretends to fail as the assignment has it, by closing its listener."""

    UNTIL = (0.3, 4.0)
    LENGTH = (1.0, 4.0)
    ELECTS = True

    def run(self):
        self.later(random.uniform(*self.UNTIL), self.fail)
        super().run()

    def fail(self):
        """Pretend."""
        self.selector.unregister(self.listener)
        self.listener.close()
        self.later(random.uniform(*self.LENGTH), self.recover)

    def recover(self):
        """Come back."""
        self.listen()
        if self.ELECTS:
            self.elect('recovered')
        self.later(random.uniform(*self.UNTIL), self.fail)


@fault('feigns-too-long')
class FeignsTooLong(Feigns):
    """Pretends to fail for six seconds."""

    LENGTH = (6.0, 6.0)


@fault('feigns-without-election')
class FeignsWithoutElection(Feigns):
    """Comes back and says nothing."""

    ELECTS = False


# Programs that are none of the lab

@fault('hangs')
class Hangs(peer.Peer):
    """Does nothing at all."""

    def listen(self):
        while True:
            time.sleep(60)


@fault('floods')
class Floods(peer.Peer):
    """Prints a gigabyte and takes no part."""

    def listen(self):
        line = b'0123456789abcde\n' * 65536
        for _ in range(1024):
            os.write(1, line)
        time.sleep(60)


@fault('forks')
class Forks(peer.Peer):
    """Starts processes, some of them in sessions of their own."""

    def listen(self):
        for number in range(300):
            if os.fork() == 0:
                if number % 2:
                    os.setsid()
                time.sleep(300)
                os._exit(0)
        time.sleep(300)


@fault('leaves-a-child')
class LeavesAChild(peer.Peer):
    """Takes part as it should, and has started a process in a session of its own."""

    def listen(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(300)
            os._exit(0)
        super().listen()


@fault('eats-memory')
class EatsMemory(peer.Peer):
    """Asks for more and more memory."""

    def listen(self):
        held = []
        while True:
            held.append(bytearray(1 << 26))
            for at in range(0, 1 << 26, 4096):
                held[-1][at] = 1


@fault('exits')
class Exits(peer.Peer):
    """Says what is wrong and ends."""

    def listen(self):
        print('lab2: no such option', file=sys.stderr)
        sys.exit(7)


@fault('never-joins')
class NeverJoins(peer.Peer):
    """Listens and does not join."""

    def join(self):
        pass

    def elect(self, cause):
        pass


@fault('no-pickle')
class NoPickle(peer.Peer):
    """Joins in JSON."""

    def pickled(self, message):
        return b'{"JOIN": [' + str(self.options.days).encode() + b']}'


@fault('idle-join')
class IdleJoin(peer.Peer):
    """Connects to the coordinator and says nothing."""

    def join(self):
        with socket.create_connection((self.options.gcd_host, self.options.gcd_port)):
            threading.Event().wait(300)


def main():
    """Run a node with the fault that the first argument names."""
    if len(sys.argv) < 3 or sys.argv[1] != '--fault' or sys.argv[2] not in FAULTS:
        sys.exit('usage: faulty.py --fault NAME ...; faults: ' + ' '.join(FAULTS))
    kind = FAULTS[sys.argv[2]]
    del sys.argv[1:3]
    options = peer.arguments()
    # Above the ports that systems hand out by themselves, and another one for each run of tests.
    options.fixed_port = 61000 + os.getuid() % 100 + int(os.environ.get('FIXED_PORT', '0'))
    lab.end_after(options.seconds)
    node = kind(options)
    try:
        node.listen()
        node.join()
        node.run()
    except Exception as error:
        node.emit('crashed_by', error=repr(error))
        raise


if __name__ == '__main__':
    main()

"""One node of the lab as a student would write it, with switches for the habits of real programs.

Non-blocking sockets and one selector loop. What it sees and does goes to standard output, one
JSON line an event; the first exception nobody planned for is reported as `crashed_by` and ends
it with status 3, as it would end a real node.
"""

import argparse
import errno
import heapq
import itertools
import random
import selectors
import socket
import sys
import time
import traceback

import lab
import storm

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
OK_WITHIN = 1.0
COORDINATOR_WITHIN = 3.0
PROBE_WITHIN = 1.5
SEND_WITHIN = 2.0
INBOUND_WITHIN = 30.0
PROBE_EVERY = (0.5, 3.0)
PIECE_EVERY = 0.02
JOIN_WITHIN = 2.0
JOIN_ATTEMPTS = 5
KEPT_MAX = 400

SIGNS_OF_LIFE = {'text': 'OK', 'lower': 'ok', 'okay': 'OKAY', 'alive': 'alive'}


class Exchange:
    """One connection: one message, perhaps one answer."""

    def __init__(self, sock, pid=None, name=None, election=None, quiet=False):
        self.sock = sock
        self.pid = pid  # who it goes to; None if they connected to us
        self.name = name  # of the message; None until it is heard
        self.election = election  # the number of the election it belongs to
        self.quiet = quiet  # part of a storm: nobody cares how it ends
        self.connected = pid is None
        self.pieces = iter(())
        self.piece = b''
        self.pause = PIECE_EVERY  # between pieces; 0 if they never end
        self.heard = b''
        self.open = True


class Peer:
    """A member of the group."""

    def __init__(self, options):
        self.options = options
        self.pid = (options.days, options.su_id)
        self.key = None if options.keyed_by == 'auto' else options.keyed_by
        self.members = {}
        self.leader = None
        self.leader_answers = False  # it has answered a PROBE, so its silence means something
        self.electing = False
        self.election = 0  # counts them, so that a late outcome is not taken for a fresh one
        self.undecided = 0
        self.outranked = False
        self.selector = selectors.DefaultSelector()
        self.timers = []
        self.timer_numbers = itertools.count()
        self.kept = []
        self.listener = None

    def emit(self, event, **fields):
        """Print an event of this node."""
        lab.emit(event, node=self.pid, **fields)

    # Starting up

    def listen(self):
        """Open the listener."""
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.options.listen, self.options.bind_port))
        self.listener.listen(100)
        self.listener.setblocking(False)
        self.selector.register(self.listener, READ, None)
        self.members[self.pid] = self.address()
        self.emit('listening', address=self.address())

    def address(self):
        """Return where this node says it listens."""
        host, port = self.listener.getsockname()
        return ('localhost' if self.options.report_localhost else host), port

    def join(self):
        """Join the group, blocking; a refusal ends the program with status 4."""
        for attempt in range(JOIN_ATTEMPTS):
            try:
                reply = self.ask_gcd()
                break
            except OSError as error:
                lab.log('JOIN:', error)
                time.sleep(0.2 * (attempt + 1))
            except Exception as error:
                self.refused(repr(error))
        else:
            self.refused('no answer')
        if not isinstance(reply, dict):
            self.refused(str(reply))
        self.learn(reply)
        self.emit('joined', members=len(reply))

    def ask_gcd(self):
        """Return the answer to one JOIN."""
        gcd = (self.options.gcd_host, self.options.gcd_port)
        with socket.create_connection(gcd, timeout=JOIN_WITHIN) as sock:
            sock.sendall(self.pickled(('JOIN', (self.pid, self.address()))))
            reply = b''
            while True:
                data = sock.recv(1024)
                reply += data
                try:
                    return lab.loads(reply)
                except lab.Incomplete:
                    if self.options.recv_once or not data:
                        raise

    def refused(self, error):
        """Give up on joining."""
        self.emit('join_failed', error=error)
        sys.exit(4)

    def run(self):
        """Take part until asked to end."""
        self.elect('joined')
        self.later(random.uniform(*PROBE_EVERY), self.probe)
        if self.options.storm:
            storm.Storm(self).turn()
        while True:
            self.fire()
            wait = max(0.0, self.timers[0][0] - time.monotonic()) if self.timers else None
            for key, ready in self.selector.select(wait):
                exchange = key.data
                if exchange is None:
                    self.accept()
                    continue
                if exchange.open and ready & WRITE:
                    self.send(exchange)
                if exchange.open and ready & READ:
                    self.receive(exchange)

    # Timers

    def later(self, seconds, action, *args):
        """Have `action(*args)` called after `seconds`."""
        due = time.monotonic() + seconds
        heapq.heappush(self.timers, (due, next(self.timer_numbers), action, args))

    def fire(self):
        """Call whatever is due."""
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            _, _, action, args = heapq.heappop(self.timers)
            action(*args)

    # Messages out

    def message(self, name):
        """Return the message called `name` in the form this node sends it."""
        options = self.options
        data = None
        if name == 'ELECTION':
            if options.bare:
                return name
            data = self.written(self.members)
        elif name == 'COORDINATOR':
            data = self.written({pid: address for pid, address in self.members.items()
                                 if pid == self.pid or options.everybody
                                 or pid < self.pid and not options.only_leader})
        elif options.probe_form == 'bare':
            return name
        elif options.probe_form == 'members':
            data = self.written(self.members)
        if options.enum:
            return (lab.Name[name], data)
        return [name, data] if options.lists else (name, data)

    def ok(self):
        """Return the answer to ELECTION and PROBE in the form this node sends it."""
        form = self.options.ok
        if form in SIGNS_OF_LIFE:
            return SIGNS_OF_LIFE[form]
        if form == 'pair':
            return 'OK', None
        return 'OK', self.written(self.members, 'pid' if form == 'members-pid' else None)

    def written(self, members, key=None):
        """Return `members` as they go on the wire."""
        key = key or self.key or 'pid'
        if self.options.bad_members:
            members = {**members, (1, 1_000_001): ('127.0.0.1', 0),
                       (2, 1_000_002): ('localhost', 70_000), (3, 1_000_003): ('127.0.0.1', -1)}
        return lab.write_members(members, key, self.options.lists, self.options.shared)

    def pickled(self, message):
        """Return the bytes of `message`."""
        data = lab.dumps(message, self.options.protocol, self.options.shared)
        return data + b'and more' if self.options.trailing else data

    def cut(self, data):
        """Return an iterator over the pieces `data` is sent in."""
        size = max(1, -(-len(data) // self.options.split))
        return iter([data[at:at + size] for at in range(0, len(data), size)])

    # Connections

    def open(self, pid, name, within, election=None, quiet=False):
        """Connect to `pid` and send it the message called `name`; returns the exchange."""
        exchange = Exchange(socket.socket(), pid, name, election, quiet)
        exchange.sock.setblocking(False)
        exchange.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        exchange.pieces = self.cut(self.pickled(self.message(name)))
        within += self.options.idle_before + self.options.split * PIECE_EVERY
        address = self.members[pid]
        failed = errno.EHOSTUNREACH
        if lab.loopback(address[0]):
            failed = exchange.sock.connect_ex(address)
        if failed in (0, errno.EINPROGRESS):
            self.watch(exchange, WRITE)
            self.later(within, self.end, exchange, 'silent')
        else:
            self.end(exchange, 'refused')
        return exchange

    def accept(self):
        """Take one connection."""
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        exchange = Exchange(sock)
        self.watch(exchange, READ)
        self.later(INBOUND_WITHIN, self.end, exchange, 'silent')

    def watch(self, exchange, events):
        """Wait for `events` on the exchange, none of them being 0."""
        if not exchange.open:
            return
        known = exchange.sock in self.selector.get_map()
        if events and known:
            self.selector.modify(exchange.sock, events, exchange)
        elif events:
            self.selector.register(exchange.sock, events, exchange)
        elif known:
            self.selector.unregister(exchange.sock)

    def end(self, exchange, how):
        """Finish an exchange and act on how it ended: answered, closed, silent, refused."""
        if not exchange.open:
            return
        self.watch(exchange, 0)
        exchange.open = False
        if self.options.never_close:
            self.kept.append(exchange.sock)
            if len(self.kept) > KEPT_MAX:
                self.kept.pop(0).close()
        else:
            exchange.sock.close()
        if exchange.quiet or how == 'done':
            return
        if exchange.pid is None:
            if exchange.name is None:
                self.emit('no_message', why=how, bytes=len(exchange.heard))
        elif exchange.name == 'ELECTION':
            self.election_outcome(exchange, how)
        elif exchange.name == 'PROBE':
            self.probe_outcome(exchange, how)

    def send(self, exchange):
        """Go on sending, once the connection stands and its time has come."""
        if not exchange.connected:
            if exchange.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.end(exchange, 'refused')
                return
            exchange.connected = True
            if self.options.idle_before:
                self.watch(exchange, READ)
                self.later(self.options.idle_before, self.watch, exchange, READ | WRITE)
                return
        exchange.piece = exchange.piece or next(exchange.pieces)
        try:
            sent = exchange.sock.send(exchange.piece)
        except BlockingIOError:
            return
        except OSError:
            self.end(exchange, 'refused')
            return
        exchange.piece = exchange.piece[sent:]
        if exchange.piece:
            return
        exchange.piece = next(exchange.pieces, b'')
        if not exchange.piece:
            self.sent(exchange)
        elif exchange.pause:
            rest = READ if exchange.pid else 0
            self.watch(exchange, rest)
            self.later(exchange.pause, self.watch, exchange, rest | WRITE)

    def sent(self, exchange):
        """All of it has gone out: close, or wait for the answer."""
        if exchange.pid is None and self.options.log_after:
            self.watch(exchange, 0)
            self.later(self.options.log_after, self.logged, exchange, 'done')
        elif exchange.pid is None or exchange.name == 'COORDINATOR':
            self.end(exchange, 'done')
        elif self.options.close_early:
            self.end(exchange, 'answered')  # whoever could be sent to counts as alive
        else:
            if self.options.half_close:
                try:
                    exchange.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # gone already; reading will show it
            self.watch(exchange, READ)

    def receive(self, exchange):
        """Read; once a message or an answer is complete, act on it."""
        once = self.options.recv_once
        try:
            data = exchange.sock.recv(1024 if once else 65536)
        except BlockingIOError:
            return
        except OSError:
            self.end(exchange, 'refused')
            return
        if exchange.pid and (exchange.name == 'COORDINATOR' or exchange.quiet):
            if not data or exchange.pause:  # an endless one goes on
                self.end(exchange, 'done')
            return
        if not data and not once:
            self.end(exchange, 'closed')
            return
        exchange.heard += data
        try:
            message = lab.loads(exchange.heard)
        except lab.Incomplete:
            if once:
                raise
            return
        if exchange.pid is None:
            self.handle(exchange, message)
        else:
            self.emit('answered', name=lab.name_of(message), to=exchange.name, by=exchange.pid)
            self.check_answer(message)
            if self.options.log_after:
                self.watch(exchange, 0)
                self.later(self.options.log_after, self.logged, exchange, 'answered')
            else:
                self.end(exchange, 'answered')

    def logged(self, exchange, how):
        """End an exchange once it has been logged, which takes a connection that still stands."""
        if not exchange.open:
            return
        exchange.sock.getpeername()
        try:
            gone = not exchange.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            gone = False
        if gone:
            raise ConnectionError('the connection was gone before it was logged')
        self.end(exchange, how)

    # Messages in

    def check_answer(self, message):
        """Raise what a node raises that only knows one form of OK."""
        if self.options.needs_ok == 'text' and message.upper() != 'OK':
            raise ValueError(f'unexpected answer: {message!r}')
        if self.options.needs_ok == 'members':
            name, data = message
            self.learn(data)

    def handle(self, exchange, message):
        """Act on what a peer sent us."""
        exchange.name = lab.name_of(message)
        if self.options.exact and not isinstance(message, str):
            _, _ = message  # a third item is fatal
        data = message[1] if isinstance(message, (tuple, list)) else None
        self.emit('heard', name=exchange.name, bytes=len(exchange.heard))
        self.watch(exchange, 0)
        if exchange.name == 'ELECTION':
            if data is not None:
                self.learn(data)
            self.later(self.options.late_ok, self.answer, exchange)
            if not self.electing:
                self.elect('asked')
        elif exchange.name == 'COORDINATOR':
            self.end(exchange, 'done')
            members = self.learn(data)
            self.follow(next(iter(members)) if self.options.leader_first else max(members))
        elif exchange.name == 'PROBE':
            if self.options.probe == 'answer':
                self.answer(exchange)
            elif self.options.probe == 'close':
                self.end(exchange, 'done')
        else:
            raise ValueError(f'unexpected message: {message!r}')

    def answer(self, exchange):
        """Send OK."""
        ok = self.pickled(self.ok())
        exchange.pieces = self.cut(ok + ok if self.options.two_pickles else ok)
        self.watch(exchange, WRITE)

    def learn(self, payload):
        """Take over the members of a payload and return them; TypeError if not keyed our way."""
        if self.key is None:
            self.key = lab.keyed_by(payload)
        key = lab.keyed_by(payload) if self.options.tolerant else self.key
        members = lab.read_members(payload, key or 'pid')
        self.members.update(members)
        self.members[self.pid] = self.address()
        return members

    # Elections

    def elect(self, cause):
        """Start an election."""
        self.emit('election', cause=cause)
        self.electing = True
        self.election += 1
        self.outranked = False
        greater = sorted(pid for pid in self.members if pid > self.pid)
        self.undecided = len(greater)
        for pid in greater:
            self.open(pid, 'ELECTION', OK_WITHIN, self.election)
        if not greater:
            self.win()

    def election_outcome(self, exchange, how):
        """Count one answer, or the lack of one."""
        if how != 'answered':
            self.emit('no_answer', to='ELECTION', by=exchange.pid, why=how)
        if exchange.election != self.election or not self.electing:
            return
        self.undecided -= 1
        if how == 'answered' and not self.outranked:
            self.outranked = True
            self.later(COORDINATOR_WITHIN, self.elect_again, self.election)
        elif not self.undecided and not self.outranked:
            self.win()

    def elect_again(self, election):
        """Start over if whoever answered OK never became the leader."""
        if self.electing and self.election == election:
            self.elect('no COORDINATOR')

    def win(self):
        """Lead, and announce it to everybody."""
        self.electing = False
        self.lead_by(self.pid)
        for pid in sorted(self.members):
            if pid != self.pid:
                self.open(pid, 'COORDINATOR', SEND_WITHIN)

    def follow(self, leader):
        """Note the leader of a COORDINATOR; a lesser one is bullied away."""
        self.electing = False
        self.lead_by(leader)
        if leader < self.pid:
            self.elect('lesser leader')

    def lead_by(self, leader):
        """Note who leads."""
        if leader != self.leader:
            self.leader = leader
            self.leader_answers = False
            self.emit('leader', leader=leader)

    # Probes

    def probe(self):
        """Probe the leader, now and then."""
        self.later(random.uniform(*PROBE_EVERY), self.probe)
        if self.options.send_probe and not self.electing and self.leader not in (None, self.pid):
            self.open(self.leader, 'PROBE', PROBE_WITHIN)

    def probe_outcome(self, exchange, how):
        """Elect if the leader is gone: refused, or silent though it used to answer."""
        if how != 'answered':
            self.emit('no_answer', to='PROBE', by=exchange.pid, why=how)
        if exchange.pid != self.leader or self.electing:
            return
        if how == 'answered':
            self.leader_answers = True
        elif how == 'refused' or self.leader_answers:
            self.emit('leader_lost', leader=self.leader, why=how)
            self.leader = None
            self.elect('leader lost')


def arguments():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add('gcd_host')
    add('gcd_port', type=int)
    add('su_id', type=int)
    add('--days', type=int, required=True, help='until the next birthday')
    add('--for', dest='seconds', type=float, default=60.0,
        help='end after that many seconds')
    add('--listen', default='localhost', metavar='HOST')
    add('--report-localhost', action='store_true', help="report the listener as 'localhost'")
    add('--bind-port', type=int, default=0, metavar='P',
        help='listen there instead of on any free port')

    forms = parser.add_argument_group('forms')
    add = forms.add_argument
    add('--ok', choices=(*SIGNS_OF_LIFE, 'pair', 'members', 'members-pid'), default='text')
    add('--needs-ok', choices=('text', 'members'), help='any other form of OK is fatal')
    add('--leader-first', action='store_true',
        help='take the first member of a COORDINATOR for the leader')
    add('--exact', action='store_true', help='a message of more than two items is fatal')
    add('--enum', action='store_true', help='send names as members of an Enum, a class')
    add('--trailing', action='store_true', help='send more bytes after each pickle')
    add('--bad-members', action='store_true', help='list members with impossible ports too')
    add('--two-pickles', action='store_true', help='answer with two pickles at once')
    add('--keyed-by', choices=('auto', 'pid', 'address'), default='auto',
        help='auto: as the JOIN reply was')
    add('--tolerant', action='store_true', help='read members keyed either way')
    add('--probe-form', choices=('none', 'members', 'bare'), default='none')
    add('--bare', action='store_true', help='send ELECTION as text alone')
    payload = forms.add_mutually_exclusive_group()
    payload.add_argument('--everybody', action='store_true',
                         help='COORDINATOR names greater members too')
    payload.add_argument('--only-leader', action='store_true',
                         help='COORDINATOR names the leader alone')
    add('--lists', action='store_true',
        help='lists for tuples, except for dict keys')
    add('--shared', action='store_true', help='messages full of memo references')
    add('--protocol', type=int, choices=range(6), default=4, help='of pickle')

    manners = parser.add_argument_group('manners')
    add = manners.add_argument
    add('--recv-once', action='store_true', help='one recv(1024) a message; more or less is fatal')
    add('--probe', choices=('answer', 'silent', 'close', 'none'), default='answer',
        help='what a PROBE gets; none: nothing, and none are sent')
    add('--no-send-probe', dest='send_probe', action='store_false')
    add('--half-close', action='store_true',
        help='shut down the sending side before reading the answer')
    add('--close-early', action='store_true', help='close without reading the answer')
    add('--never-close', action='store_true', help=f'keep connections open (the last {KEPT_MAX})')
    add('--idle-before', type=float, default=0.0, metavar='SECONDS',
        help='between connecting and the first byte')
    add('--split', type=int, default=1, metavar='N', help='send in N pieces')
    add('--log-after', type=float, default=0.0, metavar='SECONDS',
        help='after an answer, either way; a connection that is gone by then is fatal')
    add('--late-ok', type=float, default=0.0, metavar='SECONDS',
        help='before answering ELECTION')
    add('--storm', action='store_true', help='flood the greatest other member')

    options = parser.parse_args()
    if not (lab.loopback(options.gcd_host) and lab.loopback(options.listen)):
        parser.error('this machine only: localhost or 127.x.y.z')
    if options.split < 1:
        parser.error('--split: at least 1')
    if options.probe == 'none':
        options.send_probe = False
    return options


def main():
    """Run one node."""
    options = arguments()
    lab.end_after(options.seconds)
    peer = Peer(options)
    try:
        peer.listen()
        peer.join()
        peer.run()
    except Exception as error:
        peer.emit('crashed_by', error=repr(error))
        lab.log(traceback.format_exc())
        sys.exit(3)


if __name__ == '__main__':
    main()

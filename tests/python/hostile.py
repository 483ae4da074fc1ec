"""Attacks a listening node, one way at a time, and says what came of it.

Members it makes up live at port 1 of 127.x.y.z, where nobody listens.
"""

import argparse
import itertools
import random
import select
import signal
import socket
import struct
import time

import lab

MEBI = 1 << 20
PAUSE = 0.01
STORM_PER_SECOND = 5000
FLOOD_PER_SECOND = 500
SEND_WITHIN = 1.0
ANSWER_WITHIN = 0.2
CYCLE_OPEN_MAX = 10
ATTACKS = {}


def attack(name):
    """Register an attack: a function of (target) that runs until the target's time is up."""
    def register(function):
        ATTACKS[name] = function
        return function
    return register


class Target:
    """The node under attack, and the count of what was done to it."""

    def __init__(self, options):
        self.address = (options.host, options.port)
        self.connections_max = options.connections
        self.key = options.keyed_by
        self.random = random.Random(options.seed)
        self.until = time.monotonic()
        self.sent = 0
        self.connections = 0
        self.refused = 0
        self.answered = 0

    def counts(self):
        """Return what was done so far, for the summary."""
        return {'sent': self.sent, 'connections': self.connections, 'refused': self.refused,
                'answered': self.answered}

    def going(self):
        """Whether there is time left."""
        return time.monotonic() < self.until

    def turns(self, per_second):
        """Yield at most `per_second` times a second until the time is up, but once at least."""
        due = time.monotonic()
        while True:
            yield
            due = max(due + 1.0 / per_second, time.monotonic() - 0.1)
            if not self.going():
                return
            time.sleep(max(0.0, due - time.monotonic()))

    def connect(self):
        """Return a connection, or None after a short pause if there is none to be had."""
        sock = socket.socket()
        sock.settimeout(SEND_WITHIN)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(self.address)
        except OSError:
            sock.close()
            self.refused += 1
            time.sleep(PAUSE)
            return None
        self.connections += 1
        return sock

    def send(self, sock, data, messages=1):
        """Send `data`; returns False if the node would not take it all."""
        try:
            sock.sendall(data)
        except OSError:
            return False
        self.sent += messages
        return True

    def deliver(self, data):
        """One connection, one message, closed without reading."""
        sock = self.connect()
        if sock:
            with sock:
                self.send(sock, data)

    def cycle(self, payloads, per_second):
        """Send the payloads in turn, again and again; each connection outlives the next few."""
        payloads = itertools.cycle(payloads)
        running = []
        for _ in self.turns(per_second):
            sock = self.connect()
            if sock:
                self.send(sock, next(payloads))
                running.append(sock)
            if len(running) > CYCLE_OPEN_MAX:
                self.finish(running.pop(0))
        for sock in running:
            self.finish(sock)

    def hold(self, first, every=None, then=None):
        """Keep as many connections as allowed, each opened with the bytes `first`.

        `then()` iterates over more bytes for one connection, to go out `every` so many seconds.
        Connections the node closes are replaced.
        """
        held = []
        due = time.monotonic()
        for _ in self.turns(FLOOD_PER_SECOND):
            if len(held) < self.connections_max:
                sock = self.connect()
                if sock and (not first or self.send(sock, first)):
                    held.append((sock, then() if then else None))
                elif sock:
                    sock.close()
            else:
                time.sleep(PAUSE)
            held = [(sock, more) for sock, more in held if not self.over(sock)]
            if every and time.monotonic() >= due:
                due += every
                for sock, more in held:
                    self.send(sock, next(more, b''), messages=0)
        for sock, _ in held:
            sock.close()

    def finish(self, sock):
        """Count the answer, if one has come, and close."""
        self.over(sock)
        sock.close()

    def over(self, sock):
        """Whether the node has closed the connection; closes it too if so."""
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        if not poll.poll(0):
            return False
        try:
            if sock.recv(1024):
                self.answered += 1
                return False
        except OSError:
            pass
        sock.close()
        return True


def members(count, key):
    """Return that many members nobody knows, with process ids a coordinator would accept."""
    made = {(1 + i % 365, 1000000 + i): (f'127.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}', 1)
            for i in range(count)}
    return lab.write_members(made, key)


def election(target, count=3, protocol=4):
    """Return the bytes of an ordinary ELECTION."""
    return lab.dumps(('ELECTION', members(count, target.key)), protocol)


PROBE = lab.dumps(('PROBE', None))


def named(body, name=b'ELECTION'):
    """Return the pickle of (name, whatever the opcodes of `body` build)."""
    return b'\x80\x04\x8c' + bytes([len(name)]) + name + body + b'\x86.'


# Connections and time

@attack('garbage')
def garbage(target):
    """Random bytes."""
    for _ in target.turns(FLOOD_PER_SECOND):
        size = target.random.randrange(1, 2000)
        target.deliver(target.random.getrandbits(8 * size).to_bytes(size, 'big'))


@attack('slowloris')
def slowloris(target):
    """Connections that say nothing."""
    target.hold(b'')


@attack('drip')
def drip(target):
    """Connections that say one byte a second."""
    message = election(target)
    target.hold(message[:1], every=1.0, then=lambda: (bytes([byte]) for byte in message[1:]))


@attack('half')
def half(target):
    """Connections that stop in the middle of a message."""
    message = election(target)
    target.hold(message[:len(message) // 2])


@attack('unread')
def unread(target):
    """ELECTIONs on many connections whose answers nobody reads."""
    message = election(target) * 20
    held = []
    for _ in target.turns(FLOOD_PER_SECOND):
        sock = target.connect()
        if sock:
            target.send(sock, message, messages=20)
            held.append(sock)
        if len(held) > target.connections_max:
            held.pop(0).close()
    for sock in held:
        sock.close()


@attack('endless')
def endless(target):
    """Message after message on one connection."""
    run = (election(target) + PROBE) * 50
    for _ in target.turns(100):
        sock = target.connect()
        if sock:
            with sock:
                while target.going() and target.send(sock, run, messages=100):
                    pass


@attack('storm')
def storm(target):
    """ELECTIONs as fast as they go, each closed without reading the answer."""
    message = election(target)
    for _ in target.turns(STORM_PER_SECOND):
        target.deliver(message)


@attack('probes')
def probes(target):
    """Bursts of PROBE, all of them open at once."""
    for _ in target.turns(5):
        burst = [target.connect() for _ in range(min(100, target.connections_max))]
        burst = [sock for sock in burst if sock]
        for sock in burst:
            target.send(sock, PROBE)
        time.sleep(ANSWER_WITHIN)
        for sock in burst:
            target.finish(sock)


@attack('reset')
def reset(target):
    """Messages followed at once by a reset."""
    messages = itertools.cycle([election(target), PROBE])
    for _ in target.turns(FLOOD_PER_SECOND):
        sock = target.connect()
        if sock:
            target.send(sock, next(messages))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            sock.close()


# Pickles

@attack('dup-bomb')
def dup_bomb(target):
    """DUP: a value twice as big with every step, and a stack as deep as the message is long."""
    target.cycle([
        named(b']' + b'2\x86' * 60),
        named(b']' + b'2' * MEBI),
        named(b'(]' + b'2' * MEBI + b't'),
    ], 20)


@attack('marks')
def marks(target):
    """A million marks."""
    target.cycle([named(b'(' * 1000000), b'(' * 1000000 + b't' * 1000000 + b'.'], 20)


@attack('memo')
def memo(target):
    """Memo references that multiply: doubling tuples, repeated text, absurd memo slots."""
    twice = [b'h' + bytes([i]) + b'h' + bytes([i]) + b'\x86\x94' for i in range(100)]
    text = b'X' + struct.pack('<I', 60000) + b'x' * 60000 + b'\x94'
    target.cycle([
        named(b'()\x94' + b''.join(twice) + b't'),
        named(b')\x94' + b''.join(b'0' + step for step in twice)),  # the same, POPping in between
        named(b'(' + text + b'h\x00' * 200000 + b't'),
        named(b'(]\x94' + b'h\x00h\x00a' * 100000 + b't'),
        named(b')r\xff\xff\xff\xff'),
        named(b'j\xff\xff\xff\xff'),
        named(b')' + b'\x94' * MEBI),
        b''.join(b')p' + b'9' * digits + b'\n' for digits in (9, 19, 4000)) + b'.',
    ], 20)


@attack('deep')
def deep(target):
    """A hundred thousand levels of nesting."""
    depth = 100000
    target.cycle([
        named(b')' + b'\x85' * depth),
        named(b']' * depth + b'a' * (depth - 1)),
        named(b'(' * depth + b't' * depth),
        named(b'}' + b'K\x00}' * depth + b's' * depth),
    ], 20)


@attack('huge-length')
def huge_length(target):
    """Lengths that nobody is going to fill."""
    far = struct.pack('<Q', 1 << 60)
    target.cycle([
        named(b'\x8d' + far + b'text'),  # BINUNICODE8
        named(b'\x8e' + far + b'bytes'),  # BINBYTES8
        named(b'\x96' + far + b'bytes'),  # BYTEARRAY8
        named(b'X\xff\xff\xff\xfftext'),  # BINUNICODE
        named(b'T\xff\xff\xff\xfftext'),  # BINSTRING, whose length is signed
        named(b'\x8b\xff\xff\xff\x7f1'),  # LONG4
        named(b'\x8a\xff' + b'\x7f' * 255),  # LONG1
        b'\x80\x04\x95' + far + b'N.',  # FRAME
        b'\x80\x04\x95' + struct.pack('<Q', 0) + b'N.',
    ], 100)


@attack('unterminated')
def unterminated(target):
    """Text lines of protocol 0 that never end, 64 MiB each."""
    starts = itertools.cycle([b'(VELECTION', b'I1', b'L1', b'p1', b'g1', b'F1'])
    for _ in target.turns(20):
        start = next(starts)
        sock = target.connect()
        if sock:
            with sock:
                left = 64
                target.send(sock, start)
                while left and target.going() and target.send(sock, b'1' * MEBI, messages=0):
                    left -= 1


# Messages

@attack('members')
def many_members(target):
    """An ELECTION with a hundred thousand members."""
    # Pickled when its turn comes, since that takes longer than a short attack is.
    target.cycle((election(target, 100000, protocol) for protocol in (4, 0)), 5)


@attack('poison')
def poison(target):
    """Memberships that make no sense, in every message that carries one."""
    there = ('127.0.0.1', 1)
    top = (366, 9999999)
    keyed = [
        {}, {(0, 0): there}, {(-5, -1000000): there},
        {(10 ** 9, 10 ** 12): there}, {(365, 1 << 400): there},
        {top: ('127.0.0.1', 0)}, {top: ('127.0.0.1', 70000)}, {top: ('127.0.0.1', -1)},
        {top: ('127.0.0.1', 1 << 64)}, {top: ('127.0.0.1', '1')}, {top: (1, '127.0.0.1')},
        {top: ('127.0.0.1',)}, {top: ('127.0.0.1', 1, 2)}, {top: None}, {top: top},
        {top: ('', 1)}, {top: ('x' * 5000, 1)}, {top: ('\ud83d\n\x00', 1)},
        {top: ('nobody.invalid', 1)}, {top: ('255.255.255.255', 1)},
        {('366', '9999999'): there}, {(366, '9999999'): there}, {('text', 'text'): there},
        {(True, False): there}, {(None, None): there}, {(366,): there}, {(366, 9999999, 1): there},
        {366: there}, {None: None}, {(): ()}, {(top, there): there},
        {there: there}, {there: top}, {there: ('366', '9999999')}, {there: (-1, -1)},
        {there: None}, {('127.0.0.1', 0): top}, {top: there, there: top},
    ]
    other = [None, 'text', 366, -1, True, [], (), [top, there], (top, there), {1: {2: {3: 4}}}]
    odd_names = ('OK', 'PROBE', 'JOIN', 'coordinator', '', 'X' * 5000, 1, None, ())
    messages = [(name, data) for name in ('COORDINATOR', 'ELECTION') for data in keyed + other]
    messages += [(name, data) for name in odd_names for data in (None, {}, {top: there}, ())]
    messages += [(), {}, [], None, 0, 'COORDINATOR', ('COORDINATOR',), ('COORDINATOR', {}, {})]
    target.cycle([lab.dumps(message) for message in messages], 200)


def run(target, names, seconds):
    """Run the attacks, each for its share of the time."""
    for name in names:
        before = target.counts()
        target.until = time.monotonic() + seconds / len(names)
        try:
            ATTACKS[name](target)
        finally:
            if len(names) > 1:
                after = target.counts()
                done = {key: after[key] - before[key] for key in after}
                lab.emit('attacked', attack=name, **done)


def main():
    """Attack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('host', nargs='?', default='127.0.0.1')
    parser.add_argument('port', nargs='?', type=int)
    parser.add_argument('--attack', default='all', choices=list(ATTACKS) + ['all'], metavar='NAME')
    parser.add_argument('--for', dest='seconds', type=float, default=60.0,
                        help='for all attacks together')
    parser.add_argument('--connections', type=int, default=200, metavar='N',
                        help='open at once, at most')
    parser.add_argument('--keyed-by', choices=('pid', 'address'), default='pid')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--list', action='store_true', help='print the names of the attacks')
    options = parser.parse_args()
    if options.list:
        print('\n'.join(ATTACKS))
        return
    if options.port is None or not lab.loopback(options.host):
        parser.error('whom to attack: HOST PORT, on this machine only')
    target = Target(options)
    lab.end_after(options.seconds + 2.0)  # an attack that hangs in one call is cut short
    try:
        names = list(ATTACKS) if options.attack == 'all' else [options.attack]
        run(target, names, options.seconds)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        lab.emit('done', attack=options.attack, **target.counts())


if __name__ == '__main__':
    main()

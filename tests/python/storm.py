"""A member that floods the greatest other one."""

import itertools

EVERY = 0.01
ELECTIONS = 20  # a turn: 2,000 a second
PROBES = 50  # a burst, every 50 turns
OPEN_MAX = 300
END_WITHIN = 1.0


class Storm:
    """ELECTIONs and PROBEs to the greatest other member, and one connection without an end."""

    def __init__(self, peer):
        self.peer = peer
        self.turns = 0
        self.sent = 0
        self.running = []
        self.endless = None

    def turn(self):
        """Send this turn's share."""
        self.peer.later(EVERY, self.turn)
        others = [pid for pid in self.peer.members if pid != self.peer.pid]
        if not others:
            return
        target = max(others)
        self.send(target, 'ELECTION', ELECTIONS)
        if self.turns % 50 == 0:
            self.send(target, 'PROBE', PROBES)
        if self.endless is None or not self.endless.open:
            self.endless = self.peer.open(target, 'PROBE', 3600.0, quiet=True)
            probe = self.peer.pickled(self.peer.message('PROBE'))
            self.endless.pieces = itertools.repeat(probe * 100)
            self.endless.pause = 0
        self.turns += 1
        if self.turns % 100 == 0:
            self.peer.emit('storm', sent=self.sent)

    def send(self, target, name, count):
        """Send `count` messages, as far as there is room."""
        self.running = [exchange for exchange in self.running if exchange.open]
        for _ in range(min(count, OPEN_MAX - len(self.running))):
            self.running.append(self.peer.open(target, name, END_WITHIN, quiet=True))
            self.sent += 1

"""Opens many connections at once, each with a PROBE, and reports how each ended, as one line of JSON.

The times are seconds since the first was opened. A refusal is a reset before the connection was
accepted; unanswered is one that ended without an OK.
"""

import argparse
import json
import pathlib
import selectors
import socket
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / 'python'))
import lab  # noqa: E402


def main():
    """Flood one address."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('host')
    parser.add_argument('port', type=int)
    parser.add_argument('count', type=int)
    parser.add_argument('within', type=float, help='seconds')
    asked = parser.parse_args()
    flood = Flood(asked.host, asked.port, asked.count)
    flood.run(asked.within)
    print(json.dumps(flood.outcome()))


class Flood:
    """The connections that are open, and how the others ended."""

    def __init__(self, host, port, count):
        self.probe = lab.dumps(('PROBE', None))
        self.selector = selectors.DefaultSelector()
        self.began = time.monotonic()
        self.answered, self.refused, self.unanswered = [], [], []
        for _ in range(count):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex((host, port))
            self.selector.register(connection, selectors.EVENT_WRITE, b'')

    def run(self, within):
        """Goes on until all have ended, or for so many seconds."""
        while self.selector.get_map() and time.monotonic() - self.began < within:
            for key, event in self.selector.select(0.1):
                try:
                    self.go_on(key.fileobj, key.data, event)
                except OSError:
                    was_accepted = event & selectors.EVENT_READ
                    self.end(key.fileobj, self.unanswered if was_accepted else self.refused)

    def go_on(self, connection, heard, event):
        """Sends the message once connected; reads until there is a whole answer."""
        if event & selectors.EVENT_WRITE:
            if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, 'connect')
            connection.sendall(self.probe)
            self.selector.modify(connection, selectors.EVENT_READ, b'')
            return
        data = connection.recv(4096)
        try:
            lab.loads(heard + data)
            self.end(connection, self.answered)
        except lab.Incomplete:
            if not data:
                self.end(connection, self.unanswered)
            else:
                self.selector.modify(connection, selectors.EVENT_READ, heard + data)

    def end(self, connection, ended_so):
        """Closes one, and notes when."""
        ended_so.append(time.monotonic() - self.began)
        self.selector.unregister(connection)
        connection.close()

    def outcome(self):
        """Counts, and when the last was answered."""
        return {
            'answered': len(self.answered),
            'refused': len(self.refused),
            'unanswered': len(self.unanswered),
            'open': len(self.selector.get_map()),
            'last_answered': round(max(self.answered, default=0), 3),
        }


if __name__ == '__main__':
    main()

"""A group coordinator in the manner of the published one: one client, one recv(1024) at a time.

An idle client blocks everybody, members never expire, and what it makes of a broken message is
as rough as there: raw text for what is no pickle, a pickled text for what it refuses, nothing
at all for what it trips over.
"""

import argparse
import pickle
import socket

import lab


class Refused(Exception):
    """A JOIN that does not pass the checks; its text is the answer."""


class Coordinator:
    """Everybody who ever joined."""

    def __init__(self, options):
        self.options = options
        self.members = {}

    def answer(self, raw):
        """Return the bytes that answer `raw`."""
        if self.options.manner == 'empty':
            return b''
        if self.options.manner == 'raw':
            return b'Something went wrong in the group coordinator\n'
        if self.options.manner == 'str':
            return lab.dumps('Something went wrong in the group coordinator')
        try:
            name, data = lab.loads(raw)
        except pickle.UnpicklingError:
            return f'Expected a pickled message, got {str(raw)[:100]}\n'.encode()
        try:
            if name != 'JOIN':
                raise Refused(f'Unexpected message: {name}')
            reply = self.join(data)
        except Refused as error:
            lab.emit('refused', error=str(error))
            reply = str(error)
        return lab.dumps(reply)

    def join(self, data):
        """Let a member in and return the reply; raises Refused, with nobody let in."""
        pid, address = self.check(data)
        for known, where in list(self.members.items()):
            if known[1] == pid[1] or where == address:
                del self.members[known]
        others = dict(self.members)
        self.members[pid] = address
        lab.emit('join', pid=pid, address=address)
        members = others if self.options.others_only else self.members
        return lab.write_members(members, self.options.keyed_by)

    @staticmethod
    def check(data):
        """Return the process id and the address of a JOIN; raises Refused."""
        try:
            pid, address = data
        except (TypeError, ValueError):
            raise Refused('Malformed JOIN, expected (process_id, listen_address)')
        try:
            days, su_id = pid
            well_formed = 0 < days < 366 and 1000000 <= su_id < 10000000
        except (TypeError, ValueError):
            well_formed = False
        if not well_formed:
            raise Refused('Malformed process id, expected (days_to_next_birthday, student_id)')
        try:
            host, port = address
        except (TypeError, ValueError):
            raise Refused('Malformed address, expected (host, port)')
        if not (isinstance(port, int) and 0 < port < 65536):
            raise Refused('Invalid port number')
        if not lab.loopback(host):
            raise Refused('Only local group members currently allowed')
        return (days, su_id), ('127.0.0.1', port)

    def serve(self, listener):
        """Answer one client after the other, for ever."""
        while True:
            client, _ = listener.accept()
            with client:
                try:
                    client.sendall(self.answer(client.recv(1024)))
                except Exception as error:  # as there: the client sees the connection close
                    lab.log('gcd:', repr(error))


def main():
    """Run a group coordinator."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('port', nargs='?', type=int, default=0, help='0: any free one')
    parser.add_argument('--keyed-by', choices=('pid', 'address'), default='pid')
    parser.add_argument('--others-only', action='store_true',
                        help='leave the joiner out of its reply')
    manner = parser.add_mutually_exclusive_group()
    manner.add_argument('--raw-error', dest='manner', action='store_const', const='raw',
                        help='answer everything with text that is not pickled')
    manner.add_argument('--str-error', dest='manner', action='store_const', const='str',
                        help='answer everything with a pickled text')
    manner.add_argument('--empty', dest='manner', action='store_const', const='empty',
                        help='close without an answer')
    parser.add_argument('--for', dest='seconds', type=float, default=60.0,
                        help='end after that many seconds')
    options = parser.parse_args()
    lab.end_after(options.seconds)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(('127.0.0.1', options.port))
    listener.listen(100)
    lab.emit('listening', address=listener.getsockname())
    Coordinator(options).serve(listener)


if __name__ == '__main__':
    main()

"""A member greater than all others, for one step of an election.

    python3 greater.py GCD_PORT silent|ok [FILE]

Joins the group, accepts every connection, and answers nothing at all, or OK to ELECTION. As soon as FILE
exists it announces itself by COORDINATOR to all whom an ELECTION has named, and does nothing more.
"""

import json
import os
import pickle
import select
import socket
import sys

ME = (365, 9999999)


def main(gcd_port, mode, file=None):
    listener = socket.create_server(('127.0.0.1', 0))
    address = listener.getsockname()
    with socket.create_connection(('127.0.0.1', int(gcd_port))) as gcd:
        gcd.sendall(pickle.dumps(('JOIN', (ME, address))))
        gcd.recv(65536)
    print(json.dumps({'event': 'listening', 'address': address}), flush=True)
    known, announced, peers = {address: ME}, False, []
    while True:
        for ready in select.select([listener, *peers], [], [], 0.05)[0]:
            if ready is listener:
                peers.append(listener.accept()[0])
                continue
            data = ready.recv(65536)
            if not data:
                peers.remove(ready)
                ready.close()
                continue
            name, payload = pickle.loads(data)
            if name == 'ELECTION':
                known.update(payload)
                if mode == 'ok':
                    ready.sendall(pickle.dumps('OK'))
                print(json.dumps({'event': 'asked'}), flush=True)
        if file and not announced and os.path.exists(file):
            announced = True
            for peer in set(known) - {address}:
                with socket.create_connection(peer) as to:
                    to.sendall(pickle.dumps(('COORDINATOR', known)))
            print(json.dumps({'event': 'announced'}), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])

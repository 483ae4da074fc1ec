"""Runs a command on a terminal of its own, ends it by a signal, and prints as JSON what is left of it.

terminal.py SIGNAL COMMAND...: once the command has drawn something and has a child, it is sent the
signal. Printed: whether the terminal echoes again, and whether the child has ended.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

LIMIT = 60.0


def main():
    number = getattr(signal, sys.argv[1])
    # A shell keeps the terminal open after the command.
    shell, terminal = pty.fork()
    if shell == 0:
        os.environ['TERM'] = 'xterm'
        os.execvp('sh', ['sh', '-c', '"$@"; sleep 600', 'sh', *sys.argv[2:]])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
    try:
        until = time.monotonic() + LIMIT
        drawn, command, child = b'', None, None
        while time.monotonic() < until and not (b'leads' in drawn and child):
            drawn += read(terminal)
            command = first(children(shell))
            child = command and first(children(command))
        if not child:
            sys.exit(f'it has not started: {drawn!r}')
        os.kill(command, number)
        # What is ended by SIGKILL leaves the terminal as it is.
        waits = number != signal.SIGKILL
        while time.monotonic() < until and (is_there(child) or waits and not echoes(terminal)):
            read(terminal)
        print(json.dumps({'echoes': echoes(terminal), 'child_ended': not is_there(child)}))
        if is_there(child):
            os.kill(child, signal.SIGKILL)
    finally:
        for process in [*children(shell), shell]:
            os.kill(process, signal.SIGKILL)


def first(several):
    return next(iter(several), None)


def children(parent):
    try:
        with open(f'/proc/{parent}/task/{parent}/children', encoding='ascii') as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []


def is_there(process):
    try:
        with open(f'/proc/{process}/stat', encoding='ascii') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def echoes(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def read(terminal):
    ready, _, _ = select.select([terminal], [], [], 0.1)
    try:
        return os.read(terminal, 65536) if ready else b''
    except OSError:
        return b''


main()

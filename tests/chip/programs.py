"""Programs that a test starts and reads; each has ended when the test ends, even if that is killed."""

import concurrent.futures
import json
import re
import signal
import subprocess
import threading
import time

import emulator

LIMIT = 180  # s a step; they take one to fifteen on a machine that has nothing else to do
LINES_SHOWN = 12  # of each program, after a failure
HOST = '127.0.0.1'
PYTHON = emulator.ROOT / 'tests' / 'python'
BULLY = emulator.ROOT / 'target' / 'release' / 'bully'
# However the test ends, killed even.
DIES_WITH_US = 'setpriv', '--pdeathsig', 'KILL'


# Set when what is still running is to end.
ENDING = threading.Event()


class Failure(Exception):
    """A step was not seen."""


def at_once(*parts):
    """Runs parts of a test side by side, since they mostly wait; ends all with the first that fails."""
    signal.signal(signal.SIGTERM, lambda *_: ENDING.set())
    with concurrent.futures.ThreadPoolExecutor(len(parts)) as pool:
        running = [pool.submit(part) for part in parts]
        try:
            concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_EXCEPTION)
        finally:
            if any(not part.done() or part.exception() for part in running):
                ENDING.set()
    failures = [part.exception() for part in running if part.exception()]
    # Those that were ended by another's failure have nothing to say.
    for failure in sorted(failures, key=lambda failure: isinstance(failure, Ended)):
        raise failure


class Ended(Failure):
    """Another part failed, or the test was ended from outside."""


class Program:
    """A program that is running, and what it has said; it is killed in any case."""

    def __init__(self, name, *command):
        self.name = name
        self.killed = False
        self.lines = []
        self.times = []  # of the clock on the wall at which each line came, in s
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.times.append(time.time())
            self.lines.append(line.rstrip('\n'))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def has_failed(self):
        return not self.killed and self.process.poll() is not None


class Member(Program):
    """A program that reports what it sees as JSON, an object a line."""

    def events(self, name):
        reported = (json.loads(line) for line in self.lines[:])
        return [event for event in reported if event.get('event') == name]

    def address(self):
        wait_for(f'{self.name} to listen', lambda: self.events('listening'), [self])
        return self.events('listening')[0]['address']

    def leader(self):
        leaders = self.events('leader')
        return tuple(leaders[-1]['leader']) if leaders else None


class Chip(Program):
    """A chip in QEMU, which reports its events as Rust prints them."""

    def leader(self):
        leaders = self.reported(r'Leader \{ leader: Pid \{ days: (\d+), id: (\d+) \}')
        return leaders[-1] if leaders else None

    def stack(self):
        """The most bytes of stack that were in use."""
        return max((depth for depth, in self.reported(r'Stack \{ bytes: (\d+) \}')), default=0)

    def reported(self, pattern):
        """The numbers in each line in which the pattern is."""
        matches = (re.search(pattern, line) for line in self.lines[:])
        return [tuple(map(int, match.groups())) for match in matches if match]

    def times_of(self, pattern):
        """When each line came in which the pattern is."""
        return [at for at, line in zip(self.times[:], self.lines[:]) if re.search(pattern, line)]


def wait_for(what, condition, running=()):
    """Waits until the condition holds, as long as these programs run."""
    end = time.monotonic() + LIMIT
    while not condition():
        if ENDING.is_set():
            raise Ended(f'ended, waiting for {what}')
        ended = [program.name for program in running if program.has_failed()]
        if ended or time.monotonic() > end:
            for program in running:
                print(f'\n{program.name} said last:', *program.lines[-LINES_SHOWN:], sep='\n  ')
            why = f'{", ".join(ended)} ended' if ended else f'nothing came of {LIMIT} s'
            raise Failure(f'{why}, waiting for {what}')
        time.sleep(0.05)


def repeated(recording):
    """Repeats a recording with the core on this machine: what it does must be as recorded."""
    done = subprocess.run([BULLY, 'replay', '--verify', recording], capture_output=True, text=True)
    if done.returncode != 0 or 'does as recorded' not in done.stdout:
        raise Failure(f'{recording} is not repeated: {done.stdout}{done.stderr}')


def agree(leader, *everybody, running=()):
    """Waits until everybody has reported this leader last, as long as they and others run."""
    wait_for(
        f'everybody to follow {leader}',
        lambda: all(one.leader() == leader for one in everybody),
        [*running, *everybody],
    )

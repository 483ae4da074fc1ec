"""A chip behind QEMU's user networking, whose port is forwarded from loopback: no privileges needed.

It reaches 127.0.0.1 at 10.0.2.2 and gives 127.0.0.1 to the others.
"""

import contextlib
import functools
import random
import socket
import sys
import tempfile
import time

import emulator
from programs import BULLY, DIES_WITH_US, HOST, PYTHON, Chip, Member, agree, repeated, wait_for

STAYS = '--for', 3600  # s; it would end by itself too soon
PEERS = [(60, 1000001), (90, 1000002), (120, 1000003), (150, 1000004), (200, 1000005)]
NODE = 140, 1000008
NEXT_GREATEST = max(PEERS)
CHIP_GREATEST = (300, 1000006)
CHIP_LEAST = (5, 1000007)
# How the coordinator keys its lists, and what is special about each peer: every protocol, messages in
# pieces, half-closed and never closed, lists for tuples, shared references, each form of OK and PROBE.
HABITS = {
    'pid': [
        ['--protocol', '0', '--shared'],
        ['--protocol', '2', '--ok', 'pair'],
        ['--protocol', '3', '--ok', 'members', '--split', '5'],
        ['--protocol', '5', '--half-close'],
        ['--probe-form', 'members'],
    ],
    'address': [
        ['--protocol', '1', '--lists'],
        ['--protocol', '4', '--split', '3', '--ok', 'okay'],
        ['--never-close', '--shared'],
        ['--two-pickles', '--probe-form', 'bare'],
        ['--half-close', '--bare'],
    ],
}
# One form at a time: how the coordinator keys its lists, and what a peer of that form is started with.
FORMS = {
    **{f'protocol {n}': ('pid', ['--protocol', n]) for n in range(6)},
    'messages in five pieces': ('pid', ['--split', '5']),
    'half-closed': ('pid', ['--half-close']),
    'never closed': ('pid', ['--never-close']),
    'lists for tuples': ('pid', ['--lists']),
    'shared references': ('pid', ['--shared']),
    'OK as text': ('pid', ['--ok', 'text', '--needs-ok', 'members']),
    'OK as a pair': ('pid', ['--ok', 'pair']),
    'OK with members': ('pid', ['--ok', 'members']),
    'PROBE as text': ('pid', ['--probe-form', 'bare']),
    'PROBE with members': ('pid', ['--probe-form', 'members']),
    'keyed by address': ('address', ['--needs-ok', 'text']),
    'keyed by address, shared references': ('address', ['--shared', '--lists']),
}
# Each with a way of its own to get an address, and to feign failure.
ROUNDS = [('pid', 'ip=10.0.2.15/24 gateway=10.0.2.2', 'close'), ('address', '', 'ignore')]
RECORDED = 8  # s after its start the chip shows its recording
FEIGNED = 2  # failures that are waited for; one comes every 0 to 10 s


def start_chip(program, pid, gcd, *more):
    """A chip with this process id in the group of the coordinator at port `gcd`."""
    port = free_port()
    user = f'user,model=stellaris,mac=52:54:00:00:00:01,hostfwd=tcp:{HOST}:{port}-10.0.2.15:{port}'
    arguments = f'pid={pid[0]},{pid[1]} gcd={HOST}:{gcd} port={port} reached={HOST} loopback=10.0.2.2'
    arguments = ' '.join([arguments, *more])
    command = emulator.qemu('lm3s6965', program, '-nic', user, '-append', arguments, serial='null')
    return Chip(f'the chip {pid}', *DIES_WITH_US, *command)


# Below those that the system gives to whoever connects: one of those may be taken again before QEMU has it.
PORTS = range(20_000, 32_000)


def free_port():
    """A port that nobody has just now."""
    while True:
        port = random.choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind((HOST, port))
            return port


class Round:
    """A group with a coordinator whose lists are keyed in one way."""

    def __init__(self, programs, keyed, habits_of_peers):
        self.started = time.monotonic()
        self.keyed = keyed
        start = programs.enter_context
        gcd = PYTHON / 'gcd.py', '--keyed-by', keyed, *STAYS, 0
        _, self.port = start(Member('the coordinator', *DIES_WITH_US, sys.executable, *gcd)).address()
        self.peers = []
        # One after the other: programs true to the letter that start at once may never agree.
        for pid, habits in zip(PEERS, habits_of_peers, strict=True):
            peer = PYTHON / 'peer.py', HOST, self.port, pid[1], '--days', pid[0], *STAYS, *habits
            self.peers.append(start(Member(f'peer {pid}', *DIES_WITH_US, sys.executable, *peer)))
            agree(pid, *self.peers)
        days, id = NODE
        node = BULLY, 'node', HOST, self.port, id, '--days', days, '--log', 'json'
        self.members = [*self.peers, start(Member(f'node {NODE}', *DIES_WITH_US, *node))]
        agree(NEXT_GREATEST, *self.members)
        self.seen('the peers and a node agree without the chip')

    def seen(self, step):
        print(f'{time.monotonic() - self.started:6.1f} s  keyed by {self.keyed}: {step}', flush=True)


FORMS_AT_ONCE = 3


def parts(program):
    """All the steps, as parts that may run side by side."""
    forms = list(FORMS.items())
    yield from (functools.partial(play, program, *one) for one in ROUNDS)
    yield from (functools.partial(play_forms, program, forms[at::FORMS_AT_ONCE]) for at in range(FORMS_AT_ONCE))


def play(program, keyed, address, feign):
    """All the steps, with one kind of coordinator."""
    with contextlib.ExitStack() as programs:
        group = Round(programs, keyed, HABITS[keyed])
        group.seen(f'the address of the chip is {"fixed" if address else "given by DHCP"}')
        stacks = [
            leads(group, program, address),
            feigns(group, program, address, feign),
            follows(group, program, address),
        ]
        group.seen(f'the stack held {max(stacks)} bytes at most')


def play_forms(program, forms):
    """For each of these forms: one chip follows a peer of that form, then both follow another chip."""
    address = ROUNDS[0][1]
    for form, (keyed, habits) in forms:
        started = time.monotonic()
        with contextlib.ExitStack() as programs:
            start = programs.enter_context
            gcd = PYTHON / 'gcd.py', '--keyed-by', keyed, *STAYS, 0
            _, port = start(Member('the coordinator', *DIES_WITH_US, sys.executable, *gcd)).address()
            days, id = NEXT_GREATEST
            peer = PYTHON / 'peer.py', HOST, port, id, '--days', days, *STAYS, *habits
            peer = start(Member(f'peer {NEXT_GREATEST}', *DIES_WITH_US, sys.executable, *peer))
            agree(NEXT_GREATEST, peer)
            least = start(start_chip(program, CHIP_LEAST, port, address))
            agree(NEXT_GREATEST, peer, least)
            # A PROBE of the chip's, and the peer's answer.
            wait_for('a PROBE', lambda: any(heard['name'] == 'PROBE' for heard in peer.events('heard')), [peer, least])
            greatest = start(start_chip(program, CHIP_GREATEST, port, address))
            agree(CHIP_GREATEST, peer, least, greatest)
            # And the other way round.
            wait_for('an OK', lambda: any(ok['by'] == list(CHIP_GREATEST) for ok in peer.events('answered')), [peer])
        print(f'{time.monotonic() - started:6.1f} s  {form}: a chip followed, another led', flush=True)


def leads(group, program, address):
    """The greatest joins, leads, is killed and is missed, twice; how deep its stack was."""
    stack = 0
    for again in '', ' again':
        records = [] if again else [f'record={RECORDED}']
        with start_chip(program, CHIP_GREATEST, group.port, address, *records) as chip:
            agree(CHIP_GREATEST, chip, *group.members)
            group.seen(f'the greatest has joined and leads{again}')
            if records:
                group.seen(f'its recording of {is_recorded(chip)} bytes is repeated')
            stack = max(stack, chip.stack())
        agree(NEXT_GREATEST, *group.members)
        group.seen('it was killed, and the next greatest leads')
    return stack


def is_recorded(chip):
    """The chip shows its recording on the console, and this machine repeats it; its length."""
    wait_for('the recording', lambda: 'RecordingEnded' in chip.lines, [chip])
    words = [line.split() for line in chip.lines if line.startswith('Recorded ')]
    recording = bytes.fromhex(''.join(word for _, word in words))
    with tempfile.NamedTemporaryFile(suffix='.byr') as file:
        file.write(recording)
        file.flush()
        repeated(file.name)
    return len(recording)


def feigns(group, program, address, mode):
    """The greatest feigns failure, and comes back each time; how deep its stack was."""
    with start_chip(program, CHIP_GREATEST, group.port, address, f'feign={mode}') as chip:
        programs = [chip, *group.members]
        wait_for(f'{FEIGNED} recoveries', lambda: len(chip.times_of('Recovered')) >= FEIGNED, programs)
        # Between two failures it leads, and everybody follows.
        agree(CHIP_GREATEST, *programs)
        missed = sum(bool(member.events('leader_lost')) for member in group.members)
        group.seen(f'it feigned failure ({mode}), was missed by {missed} members, and leads again')
        stack = chip.stack()
    agree(NEXT_GREATEST, *group.members)
    return stack


def follows(group, program, address):
    """The least joins, follows, and follows the next when the leader is killed; how deep its stack was."""
    with start_chip(program, CHIP_LEAST, group.port, address) as chip:
        agree(NEXT_GREATEST, chip, *group.members)
        group.seen('the least has joined and follows')
        leader = group.peers.pop()
        leader.kill()
        group.members.remove(leader)
        agree(PEERS[-2], chip, *group.members)
        group.seen('the leader was killed, and the chip follows the next')
        return chip.stack()

"""What Python makes of pickles, for comparing: golden messages, a judge of any bytes, and plain loading.

    pickles.py golden    one message a line: name, hex, and what it is (see `verdicts`)
    pickles.py lab       each of the lab's messages by each protocol of this Python, in the form of `golden`
    pickles.py judge     for each line of hex on stdin, what those bytes are
    pickles.py load      for each line of hex on stdin, the repr of what they load as, and what is left over
    pickles.py recv      for each line of hex on stdin, the repr of what the first 1,024 bytes load as
    pickles.py origins   who sent a message, as it stands after its end, by each protocol, as hex
    pickles.py large     10,000 members, by each protocol, as hex
    pickles.py opcodes   every opcode of pickletools: its byte and name
"""

import io
import pickle
import pickletools
import sys

import lab

WHITELIST = set('''APPEND APPENDS BINGET BININT BININT1 BININT2 BINPUT BINUNICODE BINUNICODE8 DICT EMPTY_DICT
    EMPTY_LIST EMPTY_TUPLE FRAME GET INT LIST LONG LONG1 LONG_BINGET LONG_BINPUT MARK MEMOIZE NEWFALSE NEWTRUE NONE
    PROTO PUT SETITEM SETITEMS SHORT_BINUNICODE STOP TUPLE TUPLE1 TUPLE2 TUPLE3 UNICODE'''.split())


class Odd(Exception):
    """Python would load it, but no pickler of lab messages writes it."""


# What a message is, by the rules of the lab, written from its value alone.


def pair(value):
    """Return the two items of a tuple or list of two, else None."""
    return value if isinstance(value, (tuple, list)) and len(value) == 2 else None


def read_pid(value):
    """Return (days, id), or None."""
    if pair(value) and all(isinstance(item, int) and 0 <= item < 2 ** 32 for item in value):
        return int(value[0]), int(value[1])
    return None


def read_port(value):
    """Return a port, or None."""
    return int(value) if isinstance(value, int) and 0 < value < 65536 else None


def read_address(value):
    """Return (host, port), or None."""
    if pair(value) and isinstance(value[0], str) and len(value[0].encode()) < 256 and read_port(value[1]):
        return value[0], int(value[1])
    return None


def show_member(pid, address):
    """Return one member as text without blanks."""
    return '{},{},{},{}'.format(*read_pid(pid), address[0].encode().hex(), read_port(address[1]))


def show_members(payload):
    """Return how a dict is keyed and who is in it, as text; None if it is no dict of members."""
    if payload is None:
        return '-'
    if not isinstance(payload, dict):
        return None
    keyed = '-'
    for key in payload:
        if pair(key) and isinstance(key[0], (str, int)):
            keyed = 'address' if isinstance(key[0], str) else 'pid'
            break
    members = []
    for key, value in payload.items():
        pid, address = (value, key) if keyed == 'address' else (key, value)
        if read_pid(pid) and read_address(address):
            members.append(show_member(pid, address))
    return ' '.join([keyed] + sorted(members))


def as_request(message):
    """Return what a message that opens an exchange is."""
    name, payload = message if pair(message) else (message, None)
    if not isinstance(name, str):
        return 'Malformed'
    if name == 'JOIN':
        if not pair(payload):
            return 'Malformed'
        pid, address = payload
        if not read_pid(pid):
            return 'Pid'
        if not pair(address) or not isinstance(address[0], str):
            return 'Malformed'
        if not read_port(address[1]):
            return 'Port'
        return 'JOIN ' + show_member(pid, address) if read_address(address) else 'Malformed'
    if name in ('ELECTION', 'PROBE', 'COORDINATOR'):
        members = show_members(payload)
        if members is None or name == 'COORDINATOR' and payload is None:
            return 'Malformed'
        return name + ' ' + members
    return 'Unexpected'


def as_members(message):
    """Return what the answer to a JOIN is."""
    if isinstance(message, str):
        return 'Text ' + message.encode().hex()
    return 'Members ' + show_members(message) if isinstance(message, dict) else 'Unfit'


def as_ok(message):
    """Return what the answer to an ELECTION or PROBE is."""
    if isinstance(message, str):
        return 'OK -'
    if pair(message) and isinstance(message[0], str) and message[0].upper() in ('OK', 'OKAY', 'ALIVE'):
        return 'OK ' + (show_members(message[1]) or '-')
    return 'Unfit'


def verdicts(message):
    """Return what a message is in each of the three places where one is read."""
    return [as_request(message), as_members(message), as_ok(message)]


# What Python makes of bytes.


def check_opcodes(data):
    """Return the opcodes without their frames; raises Odd for what only the opcodes themselves show."""
    bare = b''
    frame_end = 0
    opcodes = list(pickletools.genops(data))
    for (opcode, arg, at), after in zip(opcodes, opcodes[1:] + [(None, None, len(data))]):
        name = opcode.name
        if name not in WHITELIST:
            raise Odd(name)
        if name in ('INT', 'LONG', 'GET', 'PUT'):
            line = data[at + 1:data.index(b'\n', at)]
            line = line.removesuffix(b'L') if name == 'LONG' else line
            digits = line.removeprefix(b'-') if name in ('INT', 'LONG') else line
            if not digits.isdigit():
                raise Odd('line')
            octal = digits[:1] == b'0' and digits != b'0' and not (name == 'INT' and line in (b'00', b'01'))
            if name in ('INT', 'LONG') and (octal or not -2 ** 63 <= arg < 2 ** 63):
                raise Odd('number')
        if name == 'LONG1' and data[at + 1] > 8:
            raise Odd('number')
        if name in ('PUT', 'BINPUT', 'LONG_BINPUT') and int(arg) > at:
            raise Odd('gap')
        if isinstance(arg, str) and 'UNICODE' in name:
            arg.encode()  # a lone surrogate is a UnicodeError
        if name == 'FRAME':
            frame_end = max(frame_end, at + 9 + arg)
        else:
            bare += data[at:after[2]]
        if name == 'STOP' and at + 1 < frame_end:
            raise Odd('frame')
    return bare


class Strict(pickle._Unpickler):  # the Python one: its opcodes can be replaced
    """Refuses what Python does only because its lists and dicts have more in common than ours."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def find_class(self, module, name):
        """Nothing is ever imported."""
        raise Odd(name)


def typed(name, kind, count=None):
    """Wrap an opcode that puts things into a container: it must be a `kind`, with plain keys if a dict."""
    opcode = getattr(pickle, name)[0]
    load = pickle._Unpickler.dispatch[opcode]

    def plain(key):
        return key is None or isinstance(key, (int, str))

    def check(self):
        if count is None:
            into, values = self.metastack[-1][-1:], self.stack
        else:
            into, values = self.stack[-count - 1:-count], self.stack[-count:]
        if name != 'DICT' and not (into and type(into[0]) is kind):
            raise Odd(name)
        for key in values[::2] if kind is dict else []:
            if not (plain(key) or isinstance(key, tuple) and len(key) <= 3 and all(map(plain, key))):
                raise Odd('key')
        load(self)

    Strict.dispatch[opcode] = check


def settled(values):
    """Return how many of the values above a mark are members by the time that more follow them."""
    def plain(value):
        if not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int)):
            return False
        if isinstance(value[0], str):
            return 0 <= value[1] < 2 ** 16
        return isinstance(value[0], int) and 0 <= value[0] < 2 ** 16 and 0 <= value[1] < 2 ** 32

    count = 0
    while len(values) > count + 2 and all(map(plain, values[count:count + 2])):
        count += 2
    return count


def members_stay(name, count=None):
    """Wrap an opcode that makes a container of values: not of members that stand above a dict, to be set in it."""
    opcode = getattr(pickle, name)[0]
    load = Strict.dispatch[opcode]

    def check(self):
        below = self.metastack[-1][-1:] if self.metastack else []
        left = 0 if count is None else len(self.stack) - count
        if below and type(below[0]) is dict and left < settled(self.stack):
            raise Odd(name)
        load(self)

    Strict.dispatch[opcode] = check


typed('APPEND', list, 1)
typed('APPENDS', list)
typed('SETITEM', dict, 2)
typed('SETITEMS', dict)
typed('DICT', dict)
for opcode in ('TUPLE', 'LIST', 'DICT'):
    members_stay(opcode)
for opcode in ('TUPLE1', 'TUPLE2', 'TUPLE3'):
    members_stay(opcode, int(opcode[-1]))


def judge(data):
    """Return what `data` is in each of the three places, or that it is refused."""
    try:
        # Python's readers differ in whether they mind an opcode that crosses its frame's end. What counts is
        # loads, as nodes use it; by then there is nothing but the whitelist's opcodes in the data.
        Strict(io.BytesIO(check_opcodes(data))).load()
        message = pickle.loads(data)
        return verdicts(message)
    except Exception:  # whatever it is: a pickle can fail in a dozen ways
        return ['Refused'] * 3


# Golden messages.


def messages():
    """Yield (name, message) for every message and answer of the lab, and for what nodes make of them."""
    few = {(100 + n, 1111111 * n): ('127.0.0.1', 40000 + n) for n in range(1, 4)}
    many = {(n % 365 + 1, 1000000 + n): ('127.0.0.1', 1024 + n) for n in range(1100)}  # CPython sets 1000 at once
    hosts = {(n + 1, 1000000 + n): (host, 65535 - n)
             for n, host in enumerate(['localhost', '::1', 'cs1.example.edu', 'bücher.example', '10.0.0.1', ''])}
    wide = {(0, 0): ('a', 1), (255, 256): ('a', 255), (65535, 65536): ('a', 256), (2 ** 31, 2 ** 32 - 1): ('a', 65535)}
    broken = {(1, 1): ('a', 0), (2, 2): ('a', 65536), (-3, 3): ('a', 3), (4, 2 ** 32): ('a', 4), (5, 5): ('a', -5),
              (6, 6): ('a',), (7, 7): ('x' * 256, 7), (8, 8): ('a', 8), (9, 9): None, (None, 10): ('a', 10)}
    groups = {'few': few, 'many': many, 'hosts': hosts, 'wide': wide, 'broken': broken, 'empty': {}}
    for name, group in groups.items():
        swapped = {}
        for pid, address in group.items():
            if address:
                swapped[address] = pid
        for keyed, members in (('pid', group), ('address', swapped)):
            yield 'members of {} by {}'.format(name, keyed), members
            for message in ('ELECTION', 'COORDINATOR', 'PROBE', 'OK', 'OKAY') if group is not many else ():
                yield '{} of {} by {}'.format(message, name, keyed), (message, members)
    for keyed, members in (('pid', few), ('address', {where: pid for pid, where in few.items()})):
        yield 'lists for values by ' + keyed, ('ELECTION', {key: list(value) for key, value in members.items()})
        yield 'all lists by ' + keyed, ['ELECTION', {key: list(value) for key, value in members.items()}]
    yield 'leader alone', ('COORDINATOR', {('127.0.0.1', 40003): (300, 3333333)})
    for text in ('ELECTION', 'PROBE', 'COORDINATOR', 'JOIN', 'OK', 'ok', 'OKAY', 'alive', '', 'Invalid port number',
                 'back\\slash \\u0041', 'new\nline', 'Grüße', '\U0001f409'):
        yield 'text {!r}'.format(text), text
        yield 'pair of {!r}'.format(text), (text, None)
    address = ('127.0.0.1', 40001)
    for name, join in {
            'well': ((100, 1111111), address), 'lists': [[100, 1111111], list(address)],
            'birthday today': ((0, 1111111), address), 'negative': ((-2426, 1111111), address),
            'text pid': (('100', '1111111'), address), 'no pid': (None, address), 'long pid': ((1, 2, 3), address),
            'port 0': ((100, 1111111), ('127.0.0.1', 0)), 'port 65536': ((100, 1111111), ('127.0.0.1', 65536)),
            'text port': ((100, 1111111), ('127.0.0.1', '40001')), 'elsewhere': ((1, 2), ('cs1.example.edu', 1)),
            'no host': ((100, 1111111), (None, 40001)), 'no address': ((100, 1111111), None),
            'long host': ((100, 1111111), ('x' * 256, 1)), 'swapped': (address, (100, 1111111)), 'none': None,
            'true': ((True, 1111111), ('127.0.0.1', True))}.items():
        yield 'JOIN ' + name, ('JOIN', join)
    for name, other in {
            'number': 5, 'none': None, 'true': True, 'empty tuple': (), 'tuple of one': ('PROBE',),
            'tuple of three': ('ELECTION', (100, 1111111), few), 'empty list': [], 'list of five': [1, 2, 3, 4, 5],
            'list of members': ('ELECTION', list(few.items())), 'number for members': ('ELECTION', 5),
            'text for members': ('PROBE', 'x'), 'members by number': ('ELECTION', {1: address, 2: address}),
            'numbers first': (1, 'ELECTION'), 'wide': ('OK', [2 ** 31, -2 ** 31, 2 ** 40, -2 ** 63, 2 ** 63 - 1])}.items():
        yield name, other


def golden():
    """Print every message, by each protocol and in each manner of pickling."""
    for name, message in messages():
        for protocol in range(6):
            for manner, data in pickled(message, protocol).items():
                print('{} ({} {})'.format(name, manner, protocol), data.hex(), *verdicts(message), sep='\t')


def lab_messages():
    """Print the lab's messages and answers, by each protocol that this Python has, as it pickles them."""
    by_pid = {(100 + n, 1111111 * n): ('127.0.0.1', 40000 + n) for n in range(1, 4)}
    by_address = {address: pid for pid, address in by_pid.items()}
    messages = [('JOIN', ((100, 1111111), ('127.0.0.1', 40001))), ('PROBE', None), 'PROBE', 'ELECTION', 'OK', ('OK', None),
                'Invalid port number']
    for members in (by_pid, by_address, {}):
        messages += [members] + [(name, members) for name in ('ELECTION', 'COORDINATOR', 'PROBE', 'OK')]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for message in messages:
            name = '{} ({})'.format(message, protocol)
            print(name, pickle.dumps(message, protocol).hex(), *verdicts(message), sep='\t')


def pickled(message, protocol):
    """Return the pickles of a message that differ, by how they were made."""
    plain = pickle.dumps(message, protocol)
    ways = {'plain': plain, 'optimized': pickletools.optimize(plain), 'shared': lab.dumps(message, protocol, shared=True)}
    out = io.BytesIO()
    fast = pickle.Pickler(out, protocol)
    fast.fast = True  # no memo at all
    fast.dump(message)
    ways['fast'] = out.getvalue()
    ways['twice'] = plain + plain
    ways['trailed'] = plain + b'\x80\x04garbage'
    # A large message differs only by its size: some of its manners are enough.
    return ways if len(plain) < 4000 else {manner: ways[manner] for manner in ('plain', 'optimized', 'fast')}


def lines():
    """Yield the bytes of each line of hex on stdin."""
    for line in sys.stdin:
        yield bytes.fromhex(line)


def main(task):
    """Do what the command line says."""
    if task == 'golden':
        golden()
    elif task == 'lab':
        lab_messages()
    elif task == 'judge':
        for data in lines():
            print(*judge(data), sep='\t')
    elif task == 'load':
        for data in lines():
            stream = io.BytesIO(data)
            print(ascii(pickle.load(stream)), stream.read().hex(), sep='\t')
    elif task == 'recv':
        for data in lines():
            print(ascii(pickle.loads(data[:1024])))
    elif task == 'origins':
        for protocol in range(6):
            for flags in range(4):
                for manner, data in pickled(('BULLY', 1, 120, 1234567, flags), protocol).items():
                    if manner not in ('twice', 'trailed'):
                        print(flags, data.hex(), sep='\t')
    elif task == 'large':
        pids = {(n % 365 + 1, 1000000 + n): ('127.0.0.1', 1024 + n) for n in range(10000)}
        for members in (pids, {address: pid for pid, address in pids.items()}):
            for protocol in range(6):
                print(pickle.dumps(members, protocol).hex())
    elif task == 'opcodes':
        for opcode in pickletools.opcodes:
            print(ord(opcode.code), opcode.name, opcode.name in WHITELIST, sep='\t')
    else:
        sys.exit(__doc__)


if __name__ == '__main__':
    main(sys.argv[1] if len(sys.argv) == 2 else '')

"""What the programs beside it share: events, an end, pickles, the two ways to key members."""

import enum
import io
import ipaddress
import json
import os
import pickle
import signal
import sys
import time


class Name(enum.Enum):
    """The names of messages, as nodes have them that send what they compute with."""

    JOIN = 'JOIN'
    ELECTION = 'ELECTION'
    COORDINATOR = 'COORDINATOR'
    PROBE = 'PROBE'


class Incomplete(pickle.UnpicklingError):
    """The bytes so far are the beginning of a pickle, not a whole one."""


class _Plain(pickle.Unpickler):
    """Reads data only: a pickle that names a class or a function is refused."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f'refused: {module}.{name}')


class _Sharing(pickle._Pickler):
    """Writes every dict's items twice, so that the second copy is memo references only.

    The C pickler has no option for how to write a dict, hence the one in Python.
    """

    dispatch = dict(pickle._Pickler.dispatch)

    def save_dict(self, items):
        """Write `items`, each a second time by reference."""
        self.write(pickle.EMPTY_DICT if self.proto else pickle.MARK + pickle.DICT)
        self.memoize(items)
        for key, value in list(items.items()) * 2:
            self.save(key)
            self.save(value)
            self.write(pickle.SETITEM)

    dispatch[dict] = save_dict


def loads(data):
    """Return the first object pickled in `data`; raises Incomplete if more bytes are needed."""
    try:
        return _Plain(io.BytesIO(data)).load()
    except EOFError as error:
        raise Incomplete(str(error))
    except pickle.UnpicklingError as error:
        if 'truncated' in str(error):
            raise Incomplete(str(error))
        raise


def dumps(message, protocol=4, shared=False):
    """Pickle `message`; `shared` makes it full of memo references to strings and tuples."""
    if not shared:
        return pickle.dumps(message, protocol)
    out = io.BytesIO()
    _Sharing(out, protocol).dump(message)
    return out.getvalue()


def name_of(message):
    """Return the name of a message or an answer, whichever form it came in."""
    name = message[0] if isinstance(message, (tuple, list)) and message else message
    return name if isinstance(name, str) else repr(name)


def keyed_by(payload):
    """Return how `payload` is keyed, 'pid' or 'address', or None if it is empty."""
    for key in payload:
        return 'address' if isinstance(key[0], str) else 'pid'
    return None


def read_members(payload, key):
    """Return {pid: address} from a payload keyed by `key`; TypeError if it is keyed otherwise."""
    pairs = payload.items()
    if key == 'address':
        pairs = [(pid, address) for address, pid in pairs]
    members = {}
    for (days, su_id), (host, port) in pairs:
        if not (isinstance(days, int) and isinstance(su_id, int)):
            raise TypeError(f'not a process id: {(days, su_id)!r}')
        if not (isinstance(host, str) and isinstance(port, int)):
            raise TypeError(f'not an address: {(host, port)!r}')
        members[days, su_id] = (host, port)
    return members


def write_members(members, key, lists=False, shared=False):
    """Return {pid: address} in the form that goes on the wire."""
    if shared:
        members = {pid: (sys.intern(host), port) for pid, (host, port) in members.items()}
    if key == 'address':
        members = {address: pid for pid, address in members.items()}
    return {key: list(value) for key, value in members.items()} if lists else dict(members)


def loopback(host):
    """Whether `host` is this machine by itself, without asking a name server.

    In a network namespace with a name, as tests make them, every address is.
    """
    try:
        return host == 'localhost' or ipaddress.ip_address(host).is_loopback or in_named_network()
    except ValueError:
        return False


def in_named_network():
    """Whether this process is in one of the network namespaces that `ip netns` has made."""
    try:
        mine = os.stat('/proc/self/ns/net')
        named = [os.stat(entry.path) for entry in os.scandir('/run/netns')]
    except OSError:
        return False
    return any(os.path.samestat(mine, one) for one in named)


def end_after(seconds):
    """Raise SystemExit(0) wherever the program is, after `seconds` or on SIGTERM."""
    def end(*_):
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))


def emit(event, **fields):
    """Print one event as a line of JSON."""
    line = dict(t=round(time.time(), 6), event=event, **fields)
    try:
        print(json.dumps(line), flush=True)
    except BrokenPipeError:
        os._exit(0)  # whoever ran us is gone


def log(*words):
    """Say something for people to read."""
    print(*words, file=sys.stderr, flush=True)

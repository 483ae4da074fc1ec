"""What the scripts here share: a core linked for a chip, and its ELF file read."""

import functools
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SIZES = HERE / "sizes" / "Cargo.toml"
# What is used of the lab's messages.
PICKLE = ["push", "clear", "request", "answer", "origin", "write", "reply"]


def fail(why):
    """Ends the script with 2: what was to be looked at could not be."""
    print(f"{Path(sys.argv[0]).name}: {why}", file=sys.stderr)
    raise SystemExit(2)


@functools.cache
def have_target(target):
    """Sees to it that the compiler can build for `target`."""
    if not shutil.which("rustup"):
        fail(f"no rustup to add the target {target} with: https://rustup.rs")
    listed = subprocess.run(
        ["rustup", "target", "list", "--installed"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    )
    if target not in listed.stdout.split():
        subprocess.run(["rustup", "target", "add", target], cwd=ROOT, check=True)


def features():
    """The core's features but the default ones."""
    told = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps", "--locked"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE,
    )
    packages = json.loads(told.stdout)["packages"]
    core = next(package for package in packages if package["name"] == "bully")
    return core["features"].keys() - {"default"}


def link(target, members, features=()):
    """The core for `target` as an ELF file whose relocations are kept; with feature `pickle` the lab's
    messages in its place."""
    have_target(target)
    roots = ["bully_new", "bully_poll", "bully_poll_at", "BULLY_NODE"]
    if "pickle" in features:
        roots = [f"bully_pickle_{name}" for name in PICKLE] + ["BULLY_READER"]
    if "directory" in features:
        roots += ["bully_directory_poll", "bully_directory_poll_at"]
    if "link" in features:
        roots += ["bully_link_new", "bully_link_poll", "bully_link_turn", "BULLY_BUFFERS"]
    if "record" in features:
        roots += ["bully_record_new", "bully_record_poll", "bully_record_finish", "BULLY_RECORDER"]
    flags = ["-Csymbol-mangling-version=v0", "-Clink-arg=--emit-relocs"]
    flags += [f"-Clink-arg=--undefined={root}" for root in roots]
    # One directory for each capacity and choice: cargo would build them over each other.
    chosen = "-".join([str(members), *features])
    place = HERE / "sizes" / "target" / chosen
    env = os.environ | {"BULLY_MEMBERS": str(members), "RUSTFLAGS": " ".join(flags)}
    env.pop("CARGO_ENCODED_RUSTFLAGS", None)
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", SIZES]
    command += ["--target", target, "--target-dir", place, "--features", ",".join(features)]
    done = subprocess.run(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail(f"{target}, {members} members: {done.stderr}")
    return Elf(place / target / "release" / "bully-sizes")


def link_firmware(target, features):
    """The firmware with its own TCP/IP for `target`, as small as it gets, as an ELF file whose
    relocations are kept."""
    have_target(target)
    flags = ["-Csymbol-mangling-version=v0", "-Clink-arg=--emit-relocs", "-Clink-arg=-Tlink.x"]
    env = os.environ | {"RUSTFLAGS": " ".join(flags)}
    env.pop("CARGO_ENCODED_RUSTFLAGS", None)
    place = HERE / "target" / "small"
    command = ["cargo", "build", "--quiet", "--locked", "--profile", "small", "--target", target, "--bin", "lan"]
    command += ["--target-dir", place, "--no-default-features", "--features", ",".join(features)]
    done = subprocess.run(command, cwd=HERE, env=env, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail(f"{target}, {features}: {done.stderr}")
    return Elf(place / target / "small" / "lan")


class Section:
    """One section, and where it lies."""

    def __init__(self, name, kind, flags, address, data, size, link, info):
        self.name, self.kind, self.flags = name, kind, flags
        self.address, self.data, self.size = address, data, size
        self.link, self.info = link, info

    def word(self, address):
        """The 32 bits at `address`."""
        return struct.unpack_from("<I", self.data, address - self.address)[0]


class Symbol:
    """One function or object. `address` is without the bit that tells Thumb code."""

    def __init__(self, name, address, size, kind, section):
        self.name, self.address, self.size = name, address, size
        self.kind, self.section = kind, section

    @property
    def readable(self):
        """The name as a path, without types."""
        return readable(self.name)


class Elf:
    """A linked 32-bit little-endian ELF file, of whatever machine."""

    ARM = 40

    def __init__(self, path):
        self.path = Path(path)
        try:
            self.raw = self.path.read_bytes()
        except OSError as error:
            fail(f"{path}: {error.strerror}")
        if self.raw[:6] != b"\x7fELF\x01\x01":
            fail(f"{path}: not a 32-bit little-endian ELF file")
        self.machine = struct.unpack_from("<H", self.raw, 18)[0]
        self.sections = self._sections()
        table = next((s for s in self.sections if s.kind == 2), None)
        if table is None:
            fail(f"{path}: no symbols: it was stripped")
        self.symbols = self._symbols(table)

    def _sections(self):
        at, = struct.unpack_from("<I", self.raw, 32)
        size, count, names = struct.unpack_from("<HHH", self.raw, 46)
        heads = [struct.unpack_from("<10I", self.raw, at + n * size) for n in range(count)]
        texts = heads[names][4]
        sections = []
        for name, kind, flags, address, offset, length, link, info, _, _ in heads:
            data = b"" if kind == 8 else self.raw[offset:offset + length]
            title = self._text(texts + name)
            sections.append(Section(title, kind, flags, address, data, length, link, info))
        return sections

    def _symbols(self, table):
        texts = self.sections[table.link]
        symbols = []
        for at in range(0, len(table.data), 16):
            name, value, size, info, _, section = struct.unpack_from("<IIIBBH", table.data, at)
            text = texts.data[name:texts.data.index(b"\0", name)].decode()
            kind = info & 15
            if kind == 2 and self.machine == self.ARM:
                value &= ~1
            symbols.append(Symbol(text, value, size, kind, section))
        return symbols

    def _text(self, at):
        return self.raw[at:self.raw.index(b"\0", at)].decode()

    def size_of(self, *prefixes):
        """Bytes in the sections whose names begin so."""
        return sum(s.size for s in self.sections if s.flags & 2 and s.name.startswith(prefixes))

    def placed(self):
        """Functions and objects that take place, each address once."""
        found = {}
        for symbol in self.symbols:
            if symbol.kind in (1, 2) and symbol.size and 0 < symbol.section < len(self.sections):
                found.setdefault((symbol.section, symbol.address), symbol)
        return list(found.values())


def readable(name):
    """`name` as a path, as far as that matters to a reader: no types, no hashes."""
    words = [word for word in identifiers(name) if not re.fullmatch(r"h[0-9a-f]{16}", word)]
    path = "::".join(words) or name
    for escape, text in {"_$": "$", "$LT$": "<", "$GT$": ">", "$RF$": "&", "$u20$": " ", "..": "::"}.items():
        path = path.replace(escape, text)
    return path


# What names are made of, in the two manglings: what to skip (disambiguators, references back,
# constants), a length that an identifier follows, and single letters.
NEW = re.compile(r"s[0-9A-Za-z]*_(?=[0-9CINMXYK])|B[0-9A-Za-z]*_|K[a-z]n?[0-9a-f]*_|([1-9][0-9]*)_?|.", re.S)
OLD = re.compile(r"([1-9][0-9]*)|.", re.S)


def identifiers(name):
    """The identifiers in a mangled name, in order."""
    token, at = (NEW, 2) if name.startswith("_R") else (OLD, 3)
    if not name.startswith(("_R", "_ZN")):
        return []
    words = []
    while at < len(name):
        found = token.match(name, at)
        at = found.end()
        if found[1]:
            words.append(name[at:at + int(found[1])])
            at += int(found[1])
    return words


# What may stand before the crate with which the first path of a name begins.
BEFORE = "N[a-zA-Z]|[IMXYRQSTPO]|s[0-9A-Za-z]*_|L[0-9A-Za-z]*_"


def crate_of(name):
    """The crate in which a function or object is written, by its mangled name (v0)."""
    root = re.match(rf"_R(?:{BEFORE})*C(?:s[0-9A-Za-z]*_)?([1-9][0-9]*)_?", name)
    return name[root.end():root.end() + int(root[1])] if root else None

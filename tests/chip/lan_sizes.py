"""Weighs the firmware with its own TCP/IP, without a console, and the lab's messages alone."""

import collections

import chip

TARGETS = ["thumbv7m-none-eabi", "thumbv7em-none-eabi"]
CHOICES = {"fixed address": ["lan"], "DHCP": ["dhcp"]}

# The bounds: the aims, for a fixed address and 12 sockets. Of the stack `run-lan` shows 2.5 KiB in use;
# 3 KiB are counted.
FLASH_MAX, RAM_MAX, STACK = 80 * 1024, 50 * 1024, 3 * 1024
# The lab's messages, in it and alone: the aim.
PICKLE_MAX = 12 * 1024

RAM = 64 * 1024
SOCKETS, RECEIVE, SEND = 12, 1_536, 536  # as in src/bin/lan/network.rs
RECEIVES = [1_024, 1_536, 2_048, 4_096]


class Firmware:
    """One linked firmware: its flash by crate, its static RAM by what is in it."""

    def __init__(self, elf):
        self.flash = elf.size_of(".vector_table", ".text", ".rodata", ".data")
        self.ram = elf.size_of(".data", ".bss", ".uninit")
        symbols = elf.placed()
        in_ram = [s for s in symbols if elf.sections[s.section].name in (".bss", ".data", ".uninit")]
        self.by_crate = collections.Counter()
        for symbol in symbols:
            if symbol not in in_ram:
                self.by_crate[chip.crate_of(symbol.name) or "others"] += symbol.size
        self.by_crate["others"] += self.flash - sum(self.by_crate.values())
        self.statics = sorted((symbol.size for symbol in in_ram), reverse=True)

    @property
    def each_socket(self):
        """Bytes of RAM for one socket: its buffers, smoltcp's bookkeeping and ours."""
        _, storage, *_ = self.statics
        return RECEIVE + SEND + storage // SOCKETS + CONNECTION


# A connection's state in `Memory`, which does not show by itself.
CONNECTION = 40


def report():
    """Prints the tables; what exceeds a bound, in words."""
    firmware = {
        (target, choice): Firmware(chip.link_firmware(target, features))
        for target in TARGETS for choice, features in CHOICES.items()
    }
    table(firmware)
    fixed = firmware[TARGETS[0], "fixed address"]
    sockets(fixed)
    pickle = Pickle(chip.link(TARGETS[0], 32, ["pickle"]))
    print(f"\nThe lab's messages alone, {TARGETS[0]}, 32 members: {number(pickle.own)} bytes of flash of their own, "
          f"{number(pickle.flash)} with what they call; a reader and a list {number(pickle.ram)} bytes of RAM.")
    for what, size, limit in [
        ("flash with TCP/IP", fixed.flash, FLASH_MAX),
        ("RAM with TCP/IP and stack", fixed.ram + STACK, RAM_MAX),
        ("flash of the lab's messages in it", fixed.by_crate["bully_pickle"], PICKLE_MAX),
        ("flash of the lab's messages alone", pickle.own, PICKLE_MAX),
    ]:
        if size > limit:
            yield f"{number(size)} bytes of {what}, {number(limit)} at most"


class Pickle:
    """The lab's messages, linked alone: a reader, requests and answers both ways, and texts of refusals."""

    def __init__(self, elf):
        self.flash, self.ram = elf.size_of(".text", ".rodata", ".data"), elf.size_of(".data", ".bss")
        # What is of no other crate's by its name is theirs, constants without a name too.
        others = [s for s in elf.placed() if elf.sections[s.section].name != ".bss" and is_others(elf, s)]
        self.own = self.flash - sum(s.size for s in others)


# How many bytes a letter has, by its first byte: the standard library's table for checking UTF-8.
UTF8_LENGTHS = bytes([1] * 128 + [0] * 66 + [2] * 30 + [3] * 16 + [4] * 5 + [0] * 11)


def is_others(elf, symbol):
    """Returns `True` for what is the standard library's or the compiler's."""
    if symbol.size == len(UTF8_LENGTHS):
        section = elf.sections[symbol.section]
        at = symbol.address - section.address
        return section.data[at:at + symbol.size] == UTF8_LENGTHS
    is_ours = "pickle" in symbol.name or symbol.name.startswith("OUTLINED_FUNCTION")
    return not is_ours


def table(firmware):
    """Prints a line for each crate, a column for each firmware."""
    crates = list(dict.fromkeys(crate for one in firmware.values() for crate, _ in one.by_crate.most_common()))
    crates.sort(key=lambda crate: (crate == "others", -sum(one.by_crate[crate] for one in firmware.values())))
    print(f"\nA member with its own TCP/IP, 32 members, {SOCKETS} sockets of {number(RECEIVE)} and {SEND} bytes:\n")
    print("| | " + " | ".join(f"{target}, {choice}" for target, choice in firmware) + " |")
    print("|---|" + "---:|" * len(firmware))
    rows = [(f"`{crate}`" if crate != "others" else crate, [one.by_crate[crate] for one in firmware.values()])
            for crate in crates if max(one.by_crate[crate] for one in firmware.values()) >= 500 or crate == "others"]
    small = [crate for crate in crates if crate != "others" and f"`{crate}`" not in dict(rows)]
    rows[-1] = ("others", [one.by_crate["others"] + sum(one.by_crate[c] for c in small) for one in firmware.values()])
    rows.append(("**flash**", [one.flash for one in firmware.values()]))
    rows.append(("**static RAM**", [one.ram for one in firmware.values()]))
    for head, cells in rows:
        print(f"| {head} | " + " | ".join(map(number, cells)) + " |")


def sockets(fixed):
    """Prints how many sockets there may be, by the length of their buffers."""
    rest = fixed.ram - SOCKETS * fixed.each_socket
    print(f"\nWithout sockets {number(rest)} bytes of static RAM; with {number(STACK)} of stack there fit, in 64 KiB:\n")
    print("| bytes received into | a socket takes | sockets |\n|---:|---:|---:|")
    for receive in RECEIVES:
        each = fixed.each_socket - RECEIVE + receive
        print(f"| {number(receive)} | {number(each)} | {(RAM - STACK - rest) // each} |")


def number(count):
    """With commas, as people read it."""
    return f"{count:,}"

#!/usr/bin/env python3
"""Frames of a chip's serial line, written from the page that describes them (core/src/wire.md).

Reads a payload a line, as fields with their types (`u8 7 u8 0 u8 3`), and prints the frame of each
in hex. It shares nothing with the program under test but the page.
"""

import sys
import zlib


def varint(value):
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        if value == 0:
            out.append(low)
            return bytes(out)
        out.append(low | 0x80)


def field(kind, value):
    bits = int(kind[1:])
    if kind[0] == "i":
        assert -(1 << (bits - 1)) <= value < 1 << (bits - 1), (kind, value)
        return varint(2 * value if value >= 0 else -2 * value - 1)
    assert 0 <= value < 1 << bits, (kind, value)
    return bytes([value]) if bits == 8 else varint(value)


def stuffed(data):
    """COBS: every zero becomes the distance to the next."""
    out, block = bytearray(), bytearray()
    for byte in data:
        if byte:
            block.append(byte)
        if byte == 0 or len(block) == 254:
            out.append(len(block) + 1)
            out += block
            block.clear()
    out.append(len(block) + 1)
    return bytes(out + block)


def frame(payload):
    checksum = zlib.crc32(payload).to_bytes(4, "little")
    return b"\0" + stuffed(payload + checksum) + b"\0"


for line in sys.stdin:
    words = line.split()
    fields = zip(words[::2], words[1::2], strict=True)
    print(frame(b"".join(field(kind, int(value)) for kind, value in fields)).hex())

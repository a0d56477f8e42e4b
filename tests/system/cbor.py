# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""CBOR (RFC 8949) as device.cddl uses it: integers, bytes, text, arrays, maps, bool, null."""
import os
import re


def encode(value):
    if value is False or value is True:
        return b"\xf5" if value else b"\xf4"
    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join(encode(v) for v in value)
    # deterministic: keys in the order of their encoding
    pairs = sorted((encode(k), encode(v)) for k, v in value.items())
    return head(5, len(pairs)) + b"".join(k + v for k, v in pairs)


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for size, code in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | code]) + n.to_bytes(size, "big")
    raise ValueError("%d is more than 64 bits" % n)


def decode(data):
    value, rest = item(data)
    if rest:
        raise ValueError("%d bytes behind the value" % len(rest))
    return value


def item(data):
    major, low, data = data[0] >> 5, data[0] & 31, data[1:]
    n = low
    if 24 <= low <= 27:
        size = 1 << (low - 24)
        n, data = int.from_bytes(data[:size], "big"), data[size:]
    if major in (0, 1):
        return (n if major == 0 else -1 - n), data
    if major in (2, 3):
        return (data[:n] if major == 2 else data[:n].decode()), data[n:]
    if major == 4:
        out = []
        for _ in range(n):
            v, data = item(data)
            out.append(v)
        return out, data
    if major == 5:
        out = {}
        for _ in range(n):
            k, data = item(data)
            out[k], data = item(data)
        return out, data
    return {20: False, 21: True, 22: None}[low], data


def members():
    """Member numbers by name, from the schema itself."""
    path = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "schema", "device.cddl")
    with open(path) as f:
        tail = f.read().split("; member numbers", 1)[1]
    return {k: int(v) for k, v in re.findall(r"^(\w+) = (\d+)$", tail, re.M)}


NUMBERS = members()
NAMES = {v: k for k, v in NUMBERS.items()}


def message(**named):
    """A device's message: member names at every level become their numbers, attributes apart."""
    def walk(v):
        if isinstance(v, dict):
            return {NUMBERS[k]: (w if k == "attributes" else walk(w)) for k, w in v.items()}
        return [walk(w) for w in v] if isinstance(v, list) else v
    return encode(walk(named))


def named(data):
    """The answer with member names."""
    def walk(v):
        if isinstance(v, dict):
            return {NAMES.get(k, k): walk(w) for k, w in v.items()}
        return [walk(w) for w in v] if isinstance(v, list) else v
    return walk(decode(data))

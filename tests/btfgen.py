"""BTF blobs for tests: types by hand from bytes, and random graphs of types, half of them with faults."""

from __future__ import annotations

import random
import struct

(
    INT,
    PTR,
    ARRAY,
    STRUCT,
    UNION,
    ENUM,
    FWD,
    TYPEDEF,
    VOLATILE,
    CONST,
    RESTRICT,
    FUNC,
    PROTO,
    VAR,
    SEC,
    FLOAT,
    DECL,
    TAG,
    E64,
) = range(1, 20)
SPACED = b"a b"  # no identifier
NAMES = (b"int", b"foo", SPACED, b".data", b"bar", b"x.y", b"baz", b"q", b"fn", b"?x", b"x" * 140)
STRINGS = b"\0" + b"\0".join(NAMES) + b"\0"
Row = tuple[int, int, int, int, int, bytes]  # name, kind, vlen, flag, size or type, what follows


def words(*values: int) -> bytes:
    return b"".join([struct.pack("<I", v & 0xFFFFFFFF) for v in values])


def name(text: bytes | str) -> int:
    raw = text.encode() if isinstance(text, str) else text
    return STRINGS.index(b"\0" + raw + b"\0") + 1 if raw else 0


def types(*rows: Row) -> bytes:
    return b"".join([words(n, flag << 31 | kind << 24 | vlen, size) + tail for n, kind, vlen, flag, size, tail in rows])


def blob(body: bytes, strings: bytes = STRINGS, **header: int) -> bytes:
    """A whole blob; `header` replaces fields of it."""
    fields = {
        "magic": 0xEB9F,
        "version": 1,
        "flags": 0,
        "hdr_len": 24,
        "type_off": 0,
        "type_len": len(body),
        "str_off": len(body),
        "str_len": len(strings),
        **header,
    }
    return struct.pack("<HBBIIIII", *fields.values()) + body + strings


def integer(bits: int = 32, off: int = 0, encoding: int = 0, size: int = 4, **row: int) -> Row:
    tail = words(row.get("pad", 0) << 28 | encoding << 24 | off << 16 | bits)
    return (row.get("name", name("int")), INT, row.get("vlen", 0), row.get("flag", 0), size, tail)


def struct_of(*members: tuple[int, int, int], kind: int = STRUCT, size: int = 8, flag: int = 0) -> Row:
    return (name("foo"), kind, len(members), flag, size, b"".join(words(*m) for m in members))


class Graphs:
    """Random types that refer to each other."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.n = self.r.randint(1, self.r.choice([4, 8, 14]))
        self.bad = self.r.random() < 0.5
        self.good_names = [name(n) for n in NAMES if n != SPACED and n != b"?x"]

    def one_of(self, *good: int, bad: tuple[int, ...] = ()) -> int:
        return self.r.choice([*good, *bad] if self.bad else good)

    def fault(self, chance: float) -> bool:
        return self.bad and self.r.random() < chance

    def name(self, anonymous: float = 0.3) -> int:
        if self.fault(0.03):
            return self.r.choice([9999, name(SPACED), 2, 3])
        return 0 if self.r.random() < anonymous else self.r.choice(self.good_names)

    def ref(self, void: float = 0.1) -> int:
        if self.fault(0.03):
            return self.r.choice([self.n + 1, 1 << 20, 0xFFFFFFFF, 1 << 19])
        return 0 if self.r.random() < void else self.r.randint(1, self.n)

    def blob(self) -> bytes:
        r = self.r
        kinds = [1, 1, 1, 2, 2, 3, 4, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 13, 14, 15, 16, 17, 18, 19, 8, 10]
        body = types(*[self.row(r.choice(kinds)) for _ in range(self.n)])
        if self.fault(0.1):
            body = body[: -r.randint(1, 12)]
        raw = bytearray(blob(body))
        if r.random() < 0.1:
            for _ in range(r.randint(1, 3)):
                raw[r.randrange(len(raw))] = r.randrange(256)
        return bytes(raw)

    def row(self, kind: int) -> Row:
        r = self.r
        flag, vlen = int(self.fault(0.05)), r.randint(1, 3) if self.fault(0.03) else 0
        if kind == INT:
            size = r.choice([1, 2, 4, 8, 16, 4, 4, 3])
            bits = r.choice([size * 8, size * 8, size * 8, r.randint(0, size * 8)])
            return integer(
                bits, r.choice([0, 0, 0, 1, 8]), self.one_of(0, 1, 2, 4, bad=(3,)), size, name=self.name(), flag=flag
            )
        if kind == ARRAY:
            count = self.one_of(0, 1, 4, 100, bad=(1 << 20, 0xFFFFFFFF))
            return (0, kind, vlen, flag, 0, words(self.ref(0.02), self.ref(0.02), count))
        if kind in (STRUCT, UNION):
            return self.composite(kind)
        if kind in (ENUM, E64):
            n = r.randint(0, 3)
            tail = b"".join(words(self.name(0.02)) + r.randbytes(4 if kind == ENUM else 8) for _ in range(n))
            return (self.name(), kind, n, r.randint(0, 1), self.one_of(4, 8, bad=(1, 2, 3)), tail)
        if kind == FWD:
            return (self.name(0.02), kind, vlen, r.randint(0, 1), 0, b"")
        if kind == FUNC:
            return (self.name(0.02), kind, self.one_of(0, 1, bad=(2,)), flag, self.ref(0.02), b"")
        if kind == PROTO:
            n = r.randint(0, 3)
            return (0, kind, n, flag, self.ref(0.4), b"".join(words(self.name(0.2), self.ref()) for _ in range(n)))
        if kind == VAR:
            return (self.name(0.02), kind, vlen, flag, self.ref(0.02), words(self.one_of(0, 1, bad=(2,))))
        if kind == SEC:
            return self.section(flag)
        if kind == FLOAT:
            return (self.name(), kind, vlen, flag, self.one_of(2, 4, 8, 16, 12, bad=(3,)), b"")
        if kind == DECL:
            return (self.name(0.02), kind, vlen, flag, self.ref(0.02), words(self.one_of(-1, 0, 1, 2, bad=(-2,))))
        named = kind in (TYPEDEF, TAG)
        return (self.name(0.02) if named or self.fault(0.02) else 0, kind, vlen, flag, self.ref(), b"")

    def composite(self, kind: int) -> Row:
        r = self.r
        n, at, tail, flag = r.randint(0, 4), 0, b"", int(r.random() < 0.3)
        for _ in range(n):
            bits = r.choice([0, 0, 3, 8, 20, 32, 40, 64, 64]) if flag else 0
            tail += words(self.name(), self.ref(0.01), at | bits << 24)
            if kind == STRUCT:
                at = max(at + (r.choice([0, 8, 32, 32, 64, 64, 3, 128]) if r.random() < 0.97 else -8), 0) & 0xFFFFFF
        return (self.name(), kind, n, flag, r.choice([0, 4, 8, 16, 64, 64]), tail)

    def section(self, flag: int) -> Row:
        r = self.r
        n, at, tail = r.randint(0, 3), 0, b""
        for _ in range(n):
            size = r.choice([4, 8, 16, 1])
            tail += words(self.ref(0.02), at, size)
            at += size if r.random() < 0.97 else 2
        return (self.name(0.02), SEC, n, flag, r.choice([4, 16, 64]), tail)

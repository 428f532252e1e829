"""The scalar domain once more, for any width, slow and plain: what the fast one is compared with.

Tnums are lists of trits (0, 1 or None for unknown), lowest first, and each operation goes bit by bit, so that none of the word
tricks of the real one can hide here. A width of 4 or 6 bits (halves of 2 or 3) can be checked against all concrete words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

Trit = int | None
Trits = tuple[Trit, ...]
Fields = tuple[int, ...]


def to_trits(value: int, mask: int, width: int) -> Trits:
    return tuple(None if mask >> i & 1 else value >> i & 1 for i in range(width))


def to_words(trits: Trits) -> tuple[int, int]:
    return sum(1 << i for i, t in enumerate(trits) if t == 1), sum(1 << i for i, t in enumerate(trits) if t is None)


def _least(t: Trit) -> int:
    return t or 0


def _most(t: Trit) -> int:
    return 1 if t is None else t


def t_add(a: Trits, b: Trits) -> Trits:
    out: list[Trit] = []
    carry: Trit = 0
    for x, y in zip(a, b, strict=True):
        parts = (x, y, carry)
        out.append(None if None in parts else (_least(x) + _least(y) + _least(carry)) & 1)
        low, high = sum(map(_least, parts)), sum(map(_most, parts))
        carry = 1 if low > 1 else 0 if high < 2 else None
    return tuple(out)


def t_sub(a: Trits, b: Trits) -> Trits:
    out: list[Trit] = []
    borrow: Trit = 0
    for x, y in zip(a, b, strict=True):
        out.append(None if None in (x, y, borrow) else (_least(x) - _least(y) - _least(borrow)) & 1)
        low, high = _least(x) - _most(y) - _most(borrow), _most(x) - _least(y) - _least(borrow)
        borrow = 1 if high < 0 else 0 if low >= 0 else None
    return tuple(out)


def t_join(a: Trits, b: Trits) -> Trits:
    return tuple(x if x == y else None for x, y in zip(a, b, strict=True))


def t_mul(a: Trits, b: Trits) -> Trits:
    width = len(a)
    total: Trits = (0,) * width
    for i, digit in enumerate(a):
        if digit == 0:
            continue
        more = t_add(total, ((0,) * i + b)[:width])
        total = more if digit == 1 else t_join(total, more)
    return total


def t_meet(a: Trits, b: Trits) -> Trits:
    return tuple(y if x is None else x if y is None else x | y for x, y in zip(a, b, strict=True))


def t_bitwise(op: str, a: Trits, b: Trits) -> Trits:
    table = {"and": lambda x, y: x & y, "or": lambda x, y: x | y, "xor": lambda x, y: x ^ y}[op]
    out: list[Trit] = []
    for x, y in zip(a, b, strict=True):
        results = {table(p, q) for p in range(_least(x), _most(x) + 1) for q in range(_least(y), _most(y) + 1)}
        out.append(results.pop() if len(results) == 1 else None)
    return tuple(out)


def t_span(low: int, high: int, width: int) -> Trits:
    out: list[Trit] = [None] * width
    for i in range(width - 1, -1, -1):
        if low >> i & 1 != high >> i & 1:
            break
        out[i] = low >> i & 1
    return tuple(out)


def members(trits: Trits, low: int) -> Iterator[int]:
    """The words of the tnum from `low` up, in order."""

    def walk(i: int, word: int) -> Iterator[int]:
        if word | (1 << (i + 1)) - 1 < low:
            return
        if i < 0:
            yield word
            return
        for bit in (0, 1) if trits[i] is None else (trits[i],):
            yield from walk(i - 1, word | (bit or 0) << i)

    return walk(len(trits) - 1, 0)


@dataclass(frozen=True)
class Ref:
    """Width, trits, and the bounds of the whole and of the low half (names with `h`)."""

    width: int
    trits: Trits
    smin: int
    smax: int
    umin: int
    umax: int
    hsmin: int
    hsmax: int
    humin: int
    humax: int

    @property
    def half(self) -> int:
        return self.width // 2

    @property
    def fields(self) -> Fields:
        return (
            *to_words(self.trits),
            self.smin,
            self.smax,
            self.umin,
            self.umax,
            self.hsmin,
            self.hsmax,
            self.humin,
            self.humax,
        )

    def holds(self, word: int) -> bool:
        low = word & (1 << self.half) - 1
        return (
            all(t is None or t == word >> i & 1 for i, t in enumerate(self.trits))
            and self.umin <= word <= self.umax
            and self.smin <= signed(word, self.width) <= self.smax
            and self.humin <= low <= self.humax
            and self.hsmin <= signed(low, self.half) <= self.hsmax
        )


def signed(word: int, width: int) -> int:
    word &= (1 << width) - 1
    return word - (1 << width) if word >> (width - 1) else word


def unsigned(word: int, width: int) -> int:
    return word & (1 << width) - 1


def from_fields(width: int, f: Fields) -> Ref:
    return Ref(width, to_trits(f[0], f[1], width), *f[2:])


def unknown(width: int) -> Ref:
    half = width // 2
    return Ref(
        width, (None,) * width, -(1 << width - 1), (1 << width - 1) - 1, 0, (1 << width) - 1,
        -(1 << half - 1), (1 << half - 1) - 1, 0, (1 << half) - 1,
    )  # fmt: skip


def constant(width: int, word: int) -> Ref:
    half, word = width // 2, unsigned(word, width)
    low = unsigned(word, half)
    s, hs = signed(word, width), signed(low, half)
    return Ref(width, to_trits(word, 0, width), s, s, word, word, hs, hs, low, low)


# -- deduction ---------------------------------------------------------------------------------------------------------


def sync(r: Ref) -> Ref:
    r = from_tnum(r)
    for _ in range(3):
        r = deduce(r)
    r = into_tnum(r)
    return from_tnum(r)


def from_tnum(r: Ref) -> Ref:
    w, h = r.width, r.half
    value, mask = to_words(r.trits)

    def extremes(value: int, mask: int, width: int) -> tuple[int, int, int, int]:
        sign = 1 << width - 1
        smallest, largest = value | mask & sign, value | mask & (sign - 1)
        return signed(smallest, width), signed(largest, width), value, value | mask

    smin, smax, umin, umax = extremes(value, mask, w)
    hsmin, hsmax, humin, humax = extremes(unsigned(value, h), unsigned(mask, h), h)
    r = replace(
        r, smin=max(r.smin, smin), smax=min(r.smax, smax), umin=max(r.umin, umin), umax=min(r.umax, umax),
        hsmin=max(r.hsmin, hsmin), hsmax=min(r.hsmax, hsmax), humin=max(r.humin, humin), humax=min(r.humax, humax),
    )  # fmt: skip
    only = single(r)
    return r if only is None else constant(w, only)


def single(r: Ref) -> int | None:
    """The only word of the tnum in the unsigned range, by Linux's three cases."""
    value, mask = to_words(r.trits)

    def above(word: int) -> int:
        return next(members(r.trits, word + 1), value | mask)

    following = above(r.umin)
    if next(members(r.trits, r.umin), None) == r.umin:
        return r.umin if following > r.umax else None
    if following == value | mask:
        return following
    return following if following <= r.umax and above(following) > r.umax else None


def into_tnum(r: Ref) -> Ref:
    trits = t_meet(r.trits, t_span(r.umin, r.umax, r.width))
    low = t_meet(trits[: r.half], t_span(r.humin, r.humax, r.half))
    return replace(r, trits=low + trits[r.half :])


def deduce(r: Ref) -> Ref:
    w, h = r.width, r.half
    # the half from the whole
    for low, high in ((r.umin, r.umax), (r.smin, r.smax)):
        a, b = unsigned(low, h), unsigned(high, h)
        sa, sb = signed(a, h), signed(b, h)
        if low >> h == high >> h:
            if a <= b:
                r = replace(r, humin=max(r.humin, a), humax=min(r.humax, b))
            if sa <= sb:
                r = replace(r, hsmin=max(r.hsmin, sa), hsmax=min(r.hsmax, sb))
    for low, high in ((r.umin, r.umax), (r.smin, r.smax)):
        sa, sb = signed(low, h), signed(high, h)
        if (low >> h) + 1 == high >> h and sa < 0 <= sb:
            r = replace(r, hsmin=max(r.hsmin, sa), hsmax=min(r.hsmax, sb))
    # signed and unsigned of each
    hsmin, hsmax, humin, humax = exchange(r.hsmin, r.hsmax, r.humin, r.humax, h)
    smin, smax, umin, umax = exchange(r.smin, r.smax, r.umin, r.umax, w)
    # the whole from the half
    keep = -1 << h
    umin, umax = max(umin, umin & keep | humin), min(umax, umax & keep | humax)
    smin, smax = max(smin, smin & keep | humin), min(smax, smax & keep | humax)
    trits = r.trits
    if hsmin >= 0 and smin >= -(1 << h - 1) and smax < 1 << h:
        smin, smax, umin, umax = hsmin, hsmax, unsigned(hsmin, w), unsigned(hsmax, w)
        trits = t_meet(trits, t_span(umin, umax, w))
    return Ref(w, trits, smin, smax, umin, umax, hsmin, hsmax, humin, humax)


def exchange(smin: int, smax: int, umin: int, umax: int, width: int) -> tuple[int, int, int, int]:
    if signed(umin, width) <= signed(umax, width):
        smin, smax = max(smin, signed(umin, width)), min(smax, signed(umax, width))
    a, b = unsigned(smin, width), unsigned(smax, width)
    if a <= b:
        umin, umax = max(umin, a), min(umax, b)
    elif umax < a:
        smin, umax = signed(umin, width), min(umax, b)
    elif umin > b:
        smax, umin = signed(umax, width), max(umin, a)
    return smin, smax, umin, umax


def contradicts(r: Ref) -> bool:
    value, mask = to_words(r.trits)
    if r.umin > r.umax or r.smin > r.smax or r.humin > r.humax or r.hsmin > r.hsmax:
        return True
    c = constant(r.width, value)
    if not mask and (r.smin, r.smax, r.umin, r.umax) != (c.smin, c.smax, c.umin, c.umax):
        return True
    return not mask & (1 << r.half) - 1 and (r.hsmin, r.hsmax, r.humin, r.humax) != (c.hsmin, c.hsmax, c.humin, c.humax)


def settle(r: Ref) -> Ref:
    r = sync(r)
    return replace(unknown(r.width), trits=r.trits) if contradicts(r) else r


def zero_high(r: Ref) -> Ref:
    w, h = r.width, r.half
    smin, smax = (r.hsmin, r.hsmax) if r.hsmin >= 0 else (0, (1 << h) - 1)
    return replace(r, trits=r.trits[:h] + (0,) * (w - h), smin=smin, smax=smax, umin=r.humin, umax=r.humax)


# -- operations --------------------------------------------------------------------------------------------------------


def alu(op: str, wide: bool, a: Ref, b: Ref) -> Ref:
    w, h = a.width, a.half
    if op == "neg":
        return alu("sub", wide, constant(w, 0), a)
    if op in ("lsh", "rsh", "arsh"):
        value, mask = to_words(b.trits)
        if mask or b.umax >= (w if wide else h):
            return unknown(w)
        out = shift(op, wide, a, value)
    elif op in ("div", "mod", "sdiv", "smod"):
        return unknown(w)
    else:
        out = two_sided(op, a, b)
    return settle(out if wide else zero_high(out))


def two_sided(op: str, a: Ref, b: Ref) -> Ref:
    w, h = a.width, a.half
    if op in ("and", "or", "xor"):
        trits = t_bitwise(op, a.trits, b.trits)
        value, mask = to_words(trits)
        umin, umax = value, value | mask
        humin, humax = unsigned(umin, h), unsigned(umax, h)
        if op == "and":
            umax, humax = min(a.umax, b.umax), min(a.humax, b.humax)
        elif op == "or":
            umin, humin = max(a.umin, b.umin), max(a.humin, b.humin)
        return Ref(w, trits, *by_sign(umin, umax, w), umin, umax, *by_sign(humin, humax, h), humin, humax)
    if op == "mul":
        return Ref(
            w, t_mul(a.trits, b.trits),
            *product(a.smin, a.smax, b.smin, b.smax, -(1 << w - 1), (1 << w - 1) - 1),
            *product(a.umin, a.umax, b.umin, b.umax, 0, (1 << w) - 1),
            *product(a.hsmin, a.hsmax, b.hsmin, b.hsmax, -(1 << h - 1), (1 << h - 1) - 1),
            *product(a.humin, a.humax, b.humin, b.humax, 0, (1 << h) - 1),
        )  # fmt: skip
    if op == "add":
        ends = [(a.smin + b.smin, a.smax + b.smax), (a.umin + b.umin, a.umax + b.umax)]
        ends += [(a.hsmin + b.hsmin, a.hsmax + b.hsmax), (a.humin + b.humin, a.humax + b.humax)]
        trits = t_add(a.trits, b.trits)
    else:
        ends = [(a.smin - b.smax, a.smax - b.smin), (a.umin - b.umax, a.umax - b.umin)]
        ends += [(a.hsmin - b.hsmax, a.hsmax - b.hsmin), (a.humin - b.humax, a.humax - b.humin)]
        trits = t_sub(a.trits, b.trits)
    return Ref(
        w, trits,
        *wrapped(*ends[0], -(1 << w - 1), (1 << w - 1) - 1), *wrapped(*ends[1], 0, (1 << w) - 1),
        *wrapped(*ends[2], -(1 << h - 1), (1 << h - 1) - 1), *wrapped(*ends[3], 0, (1 << h) - 1),
    )  # fmt: skip


def by_sign(low: int, high: int, width: int) -> tuple[int, int]:
    a, b = signed(low, width), signed(high, width)
    return (a, b) if a <= b else (-(1 << width - 1), (1 << width - 1) - 1)


def wrapped(low: int, high: int, least: int, most: int) -> tuple[int, int]:
    """Kept where neither end leaves the range, or both leave it on the same side."""
    size = most - least + 1
    if (low - least) // size == (high - least) // size:
        turns = (low - least) // size
        return low - turns * size, high - turns * size
    return least, most


def product(alow: int, ahigh: int, blow: int, bhigh: int, least: int, most: int) -> tuple[int, int]:
    corners = [x * y for x in (alow, ahigh) for y in (blow, bhigh)]
    return (min(corners), max(corners)) if least <= min(corners) and max(corners) <= most else (least, most)


def shift(op: str, wide: bool, a: Ref, n: int) -> Ref:
    w, h = a.width, a.half
    out = unknown(w)
    size = w if wide else h
    t = a.trits[:size]
    if op == "lsh":
        out = replace(out, trits=((0,) * n + t)[:size] + (0,) * (w - size))
        if wide and n == h:
            out = replace(out, smin=a.hsmin << n, smax=a.hsmax << n)
        if wide and a.umax <= 1 << (w - 1 - n):
            out = replace(out, umin=a.umin << n, umax=a.umax << n)
        if n < h and a.humax <= 1 << (h - 1 - n):
            out = replace(out, humin=a.humin << n, humax=a.humax << n)
        return out
    fill: Trit = 0 if op == "rsh" else t[-1]
    out = replace(out, trits=(t[n:] + (fill,) * n) + (0,) * (w - size))
    if op == "rsh":
        return (
            replace(out, umin=a.umin >> n, umax=a.umax >> n)
            if wide
            else replace(out, humin=a.humin >> n, humax=a.humax >> n)
        )
    return (
        replace(out, smin=a.smin >> n, smax=a.smax >> n)
        if wide
        else replace(out, hsmin=a.hsmin >> n, hsmax=a.hsmax >> n)
    )


def mov_half(a: Ref) -> Ref:
    return settle(zero_high(a))


# -- branches ----------------------------------------------------------------------------------------------------------

INVERSE = {
    "eq": "ne", "ne": "eq", "gt": "le", "le": "gt", "ge": "lt", "lt": "ge",
    "sgt": "sle", "sle": "sgt", "sge": "slt", "slt": "sge", "set": "clear",
}  # fmt: skip
HOLDS = {
    "eq": lambda a, b, w: a == b,
    "ne": lambda a, b, w: a != b,
    "gt": lambda a, b, w: a > b,
    "ge": lambda a, b, w: a >= b,
    "lt": lambda a, b, w: a < b,
    "le": lambda a, b, w: a <= b,
    "sgt": lambda a, b, w: signed(a, w) > signed(b, w),
    "sge": lambda a, b, w: signed(a, w) >= signed(b, w),
    "slt": lambda a, b, w: signed(a, w) < signed(b, w),
    "sle": lambda a, b, w: signed(a, w) <= signed(b, w),
    "set": lambda a, b, w: bool(a & b),
    "clear": lambda a, b, w: not a & b,
}


def branch(op: str, narrow: bool, a: Ref, b: Ref) -> tuple[bool | None, Ref, Ref, Ref, Ref]:
    pred = predict(op, narrow, a, b)
    if pred is not None:
        return pred, a, b, a, b
    at, bt = refine(op, narrow, a, b)
    af, bf = refine(INVERSE[op], narrow, a, b)
    return None, settle(at), settle(bt), settle(af), settle(bf)


def ranges(narrow: bool, r: Ref) -> tuple[Trits, int, int, int, int]:
    if narrow:
        return r.trits[: r.half], r.hsmin, r.hsmax, r.humin, r.humax
    return r.trits, r.smin, r.smax, r.umin, r.umax


def predict(op: str, narrow: bool, a: Ref, b: Ref) -> bool | None:
    at, asmin, asmax, aumin, aumax = ranges(narrow, a)
    bt, bsmin, bsmax, bumin, bumax = ranges(narrow, b)
    if op in ("ne", "lt", "le", "slt", "sle"):
        pred = predict(INVERSE[op], narrow, a, b)
        return None if pred is None else not pred
    if op == "eq":
        if None not in at and None not in bt:
            return at == bt
        if any(x is not None and y is not None and x != y for x, y in zip(at, bt, strict=True)):
            return False
        apart = aumin > bumax or aumax < bumin or asmin > bsmax or asmax < bsmin
        apart = apart or a.humin > b.humax or a.humax < b.humin or a.hsmin > b.hsmax or a.hsmax < b.hsmin
        return False if apart else None
    if op == "set":
        if None in bt:
            at, bt = bt, at
        if None in bt:
            return None
        if any(x == 1 and y == 1 for x, y in zip(at, bt, strict=True)):
            return True
        return None if any(x is None and y == 1 for x, y in zip(at, bt, strict=True)) else False
    amin, amax, bmin, bmax = (asmin, asmax, bsmin, bsmax) if op[0] == "s" else (aumin, aumax, bumin, bumax)
    if op in ("gt", "sgt"):
        return True if amin > bmax else False if amax <= bmin else None
    return True if amin >= bmax else False if amax < bmin else None


def refine(op: str, narrow: bool, a: Ref, b: Ref) -> tuple[Ref, Ref]:
    if op in ("gt", "ge", "sgt", "sge"):
        b, a = refine({"gt": "lt", "ge": "le", "sgt": "slt", "sge": "sle"}[op], narrow, b, a)
        return a, b
    p = "h" if narrow else ""
    at, bt = ranges(narrow, a)[0], ranges(narrow, b)[0]

    def get(r: Ref, name: str) -> int:
        return int(getattr(r, p + name))

    def put(r: Ref, **kw: int) -> Ref:
        return replace(r, **{p + k: v for k, v in kw.items()})

    if op in ("lt", "le", "slt", "sle"):
        s, gap = op[0] if op[0] == "s" else "u", 0 if op.endswith("e") else 1
        top, bottom = get(b, s + "max") - gap, get(a, s + "min") + gap
        return put(a, **{s + "max": min(get(a, s + "max"), top)}), put(b, **{s + "min": max(get(b, s + "min"), bottom)})
    if op == "eq":
        both = {n: max(get(a, n), get(b, n)) for n in ("smin", "umin")}
        both |= {n: min(get(a, n), get(b, n)) for n in ("smax", "umax")}
        low = t_meet(at, bt)
        return (
            replace(put(a, **both), trits=low + a.trits[len(low) :]),
            replace(put(b, **both), trits=low + b.trits[len(low) :]),
        )
    if None in bt and None not in at:
        b, a = refine(op, narrow, b, a)
        return a, b
    if None in bt:
        return a, b
    word = to_words(bt)[0]
    if op == "ne":
        for s, bad in (("s", signed(word, len(bt))), ("u", word)):
            if get(a, s + "min") == bad:
                a = put(a, **{s + "min": bad + 1})
            if get(a, s + "max") == bad:
                a = put(a, **{s + "max": bad - 1})
        return a, b
    if op == "clear":
        trits = tuple(0 if y == 1 else x for x, y in zip(at, bt, strict=True))
        return replace(unknown(a.width), trits=trits + a.trits[len(trits) :]), b
    if sum(y == 1 for y in bt) <= 1:
        trits = tuple(1 if y == 1 else x for x, y in zip(at, bt, strict=True))
        a = replace(a, trits=trits + a.trits[len(trits) :])
    return a, b

"""The third pass of BTF_LOAD: what types say of each other.

Every type that refers to others is settled, depth first, in the order of the numbers. A chain is followed until it comes to
a type that is settled or needs no settling; a struct's pointers are such ends (else no list could be declared), and so are
a pointer's structs and arrays. A type that is met while it is being settled is a loop.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from userbpf.abi.defines import BtfKind
from userbpf.btf.check import Blob, Row

K = BtfKind
MAX_DEPTH: Final = 32
MODIFIERS: Final = frozenset({K.TYPEDEF, K.VOLATILE, K.CONST, K.RESTRICT, K.TYPE_TAG})
AGGREGATES: Final = frozenset({K.STRUCT, K.UNION, K.ARRAY})
SETTLED_BY_OTHERS: Final = MODIFIERS | AGGREGATES | {K.PTR, K.VAR, K.FUNC, K.DECL_TAG, K.DATASEC}
NO_SIZE: Final = frozenset({K.UNKN, K.FWD, K.FUNC_PROTO})
OWN_SIZE: Final = frozenset({K.INT, K.STRUCT, K.UNION, K.ENUM, K.ENUM64, K.DATASEC, K.FLOAT})
NEVER_NAMED: Final = frozenset({K.VAR, K.DECL_TAG, K.DATASEC})  # no other type refers to these
TAGGED: Final = frozenset({K.STRUCT, K.UNION, K.FUNC, K.TYPEDEF, K.VAR})
REGULAR_BITS: Final = frozenset({8, 16, 32, 64, 128})
U32_MAX: Final = 0xFFFFFFFF


class Mode(Enum):
    """Which kinds end a chain; decided by the first pointer or aggregate on it."""

    OPEN = auto()
    POINTER = auto()
    AGGREGATE = auto()


class Graph:
    """The settling of all types of a blob."""

    def __init__(self, blob: Blob) -> None:
        self.blob = blob
        n = len(blob.rows)
        self.settled = bytearray(n)
        self.visiting = bytearray(n)
        self.sizes: dict[int, int] = {}  # of arrays
        self.behind: dict[int, int] = {}  # the type behind a modifier or variable
        self.stack: list[Row] = []
        self.next_part: dict[int, int] = {}
        self.mode = Mode.OPEN

    # --- sizes -------------------------------------------------------------------------------------------------------------

    def size_of(self, type_id: int) -> tuple[Row, int] | None:
        """The type with a size behind a number, and its size."""
        row = self.blob.row(type_id)
        if row is None:
            return None
        if row.kind in MODIFIERS or row.kind == K.VAR:
            row = self.blob.rows[self.behind.get(type_id, 0)]
        if row.kind in OWN_SIZE:
            return row, row.size
        if row.kind == K.PTR:
            return row, 8
        if row.kind == K.ARRAY:
            return row, self.sizes.get(row.id, 0)
        return None

    def ends(self, row: Row) -> bool:
        """Whether a chain need not go on at this type."""
        if self.mode is Mode.OPEN:
            return row.kind not in SETTLED_BY_OTHERS
        if self.mode is Mode.POINTER:
            return row.kind not in MODIFIERS and row.kind != K.PTR
        return row.kind not in MODIFIERS and row.kind not in AGGREGATES

    # --- the stack ---------------------------------------------------------------------------------------------------------

    def push(self, row: Row) -> int:
        """Begin to settle a type; an errno where that cannot be."""
        if len(self.stack) == MAX_DEPTH:
            return errno.E2BIG
        if self.visiting[row.id] or self.settled[row.id]:
            return errno.EEXIST
        self.visiting[row.id] = 1
        self.stack.append(row)
        if self.mode is Mode.OPEN:
            if row.kind == K.PTR:
                self.mode = Mode.POINTER
            elif row.kind in AGGREGATES:
                self.mode = Mode.AGGREGATE
        return 0

    def settle(self, row: Row) -> None:
        """Settle one type and what it needs."""
        self.mode = Mode.OPEN
        self.stack.clear()
        code = self.push(row)
        while not code and self.stack:
            top = self.stack[-1]
            below = SETTLE[top.kind](self, top)
            if below is not None:
                code = self.push(below)
                continue
            self.stack.pop()
            self.settled[top.id] = 1
        if code == errno.E2BIG:
            self.blob.complain(row, f"Exceeded max resolving depth:{MAX_DEPTH}", code)
        if code == errno.EEXIST:
            self.blob.complain(row, "Loop detected", code)

    def open(self, row: Row) -> bool:
        """Whether a type is still to be settled before the one that names it."""
        return not self.ends(row) and not self.settled[row.id]

    # --- each kind ---------------------------------------------------------------------------------------------------------

    def modifier(self, row: Row) -> Row | None:
        target = self.blob.row(row.size)
        if target is None or target.kind in NEVER_NAMED:
            self.blob.complain(row, "Invalid type_id")
        if self.open(target):
            return target
        found = self.size_of(row.size)
        if found is not None:
            self.behind[row.id] = found[0].id
            return None
        last = self.last_of(target)
        if last.kind not in NO_SIZE:
            self.blob.complain(row, "Invalid type_id")
        self.behind[row.id] = last.id
        return None

    def last_of(self, row: Row) -> Row:
        """The type behind a settled modifier; void behind a settled function."""
        if row.kind in MODIFIERS or row.kind == K.VAR or (row.kind == K.FUNC and self.settled[row.id]):
            return self.blob.rows[self.behind.get(row.id, 0)]
        return row

    def pointer(self, row: Row) -> Row | None:
        target = self.blob.row(row.size)
        if target is None or target.kind in NEVER_NAMED:
            self.blob.complain(row, "Invalid type_id")
        if self.open(target):
            return target
        last = self.last_of(target)
        if last is not target and self.open(last):
            return last
        if self.size_of(row.size) is None and last.kind not in NO_SIZE:
            self.blob.complain(row, "Invalid type_id")
        return None

    def variable(self, row: Row) -> Row | None:
        target = self.blob.row(row.size)
        if target is None or target.kind in NEVER_NAMED:
            self.blob.complain(row, "Invalid type_id")
        if self.open(target):
            return target
        last = self.last_of(target)
        if last is not target and self.open(last):
            return last
        found = self.size_of(row.size)
        if found is None:
            self.blob.complain(row, "Invalid type_id")
        self.behind[row.id] = found[0].id
        return None

    def array(self, row: Row) -> Row | None:
        element, index, count = self.blob.part(row, 0)
        target = self.blob.row(index)
        if target is None or target.kind in NO_SIZE or target.kind in NEVER_NAMED:
            self.blob.complain(row, "Invalid index")
        if self.open(target):
            return target
        found = self.size_of(index)
        if found is None or found[0].kind != K.INT or not self.is_regular(found[0]):
            self.blob.complain(row, "Invalid index")
        target = self.blob.row(element)
        if target is None or target.kind in NO_SIZE or target.kind in NEVER_NAMED:
            self.blob.complain(row, "Invalid elem")
        if self.open(target):
            return target
        found = self.size_of(element)
        if found is None:
            self.blob.complain(row, "Invalid elem")
        if found[0].kind == K.INT and not self.is_regular(found[0]):
            self.blob.complain(row, "Invalid array of int")
        if count and found[1] > U32_MAX // count:
            self.blob.complain(row, "Array size overflows U32_MAX")
        self.sizes[row.id] = found[1] * count
        return None

    def is_regular(self, row: Row) -> bool:
        """Whether an integer fills 1, 2, 4, 8 or 16 bytes."""
        word = self.blob.word(row)
        return not word >> 16 & 255 and word & 255 in REGULAR_BITS

    def members(self, row: Row) -> Row | None:
        for i in range(self.next_part.get(row.id, 0), row.vlen):
            _, type_id, off = self.blob.part(row, i)
            target = self.blob.row(type_id)
            if target is None or target.kind in NO_SIZE or target.kind in NEVER_NAMED:
                self.blob.complain_again(row, i, "Invalid member")
            if self.open(target):
                self.next_part[row.id] = i
                return target
            found = self.size_of(type_id)
            if found is None:
                self.blob.complain_again(row, i, "Invalid member")
            if row.flag:
                self.member_with_bits(row, i, *found, off & 0xFFFFFF, off >> 24)
            else:
                self.member(row, i, *found, off)
        return None

    def member(self, row: Row, i: int, t: Row, size: int, bits: int) -> None:
        """A member without a width of its own."""
        if t.kind == K.INT:
            word = self.blob.word(t)
            start = bits + (word >> 16 & 255)
            if start > U32_MAX:
                self.blob.complain_again(row, i, "bits_offset exceeds U32_MAX", t.id)
            self.fits(row, i, t, start, word & 255)
            return
        if t.kind == K.FLOAT:
            if bits % (min(t.size, 8) * 8):
                self.blob.complain_again(row, i, "Member is not properly aligned", t.id)
        elif bits % 8:
            self.blob.complain_again(row, i, "Member is not byte aligned", t.id)
        if row.size - bits // 8 < size:
            self.blob.complain_again(row, i, "Member exceeds struct_size", t.id)

    def fits(self, row: Row, i: int, t: Row, start: int, width: int) -> None:
        """Bits within the struct, and within 128 bits from the byte where they begin."""
        if width + start % 8 > 128:
            self.blob.complain_again(row, i, "nr_copy_bits exceeds 128", t.id)
        if row.size < start // 8 or row.size - start // 8 < (width + start % 8 + 7) // 8:
            self.blob.complain_again(row, i, "Member exceeds struct_size", t.id)

    def member_with_bits(self, row: Row, i: int, t: Row, size: int, bits: int, width: int) -> None:
        """A member of a struct whose members say their width (0: none)."""
        if t.kind == K.INT:
            if not self.is_regular(t):
                self.blob.complain_again(row, i, "Invalid member base type", t.id)
            own = self.blob.word(t) & 255
            if not width:
                width = own
                if bits % 8:
                    self.blob.complain_again(row, i, "Invalid member offset", t.id)
            elif width > own:
                self.blob.complain_again(row, i, "Invalid member bitfield_size", t.id)
            self.fits(row, i, t, bits, width)
            return
        if t.kind in (K.ENUM, K.ENUM64):
            if not width:
                if bits % 8:
                    self.blob.complain_again(row, i, "Member is not byte aligned", t.id)
                width = 32
            elif width > 32:
                self.blob.complain_again(row, i, "Invalid member bitfield_size", t.id)
            if row.size < (bits + width + 7) // 8:
                self.blob.complain_again(row, i, "Member exceeds struct_size", t.id)
            return
        if width:
            self.blob.complain_again(row, i, "Invalid member bitfield_size", t.id)
        self.member(row, i, t, size, bits)

    def section(self, row: Row) -> Row | None:
        for i in range(self.next_part.get(row.id, 0), row.vlen):
            type_id, _, size = self.blob.part(row, i)
            target = self.blob.row(type_id)
            if target is None or target.kind != K.VAR:
                self.blob.complain_again(row, i, "Not a VAR kind member")
            if self.open(target):
                self.next_part[row.id] = i + 1  # Linux does not come back to this one's size
                return target
            found = self.size_of(type_id)
            if found is None:
                self.blob.complain_again(row, i, "Invalid type")
            if size < found[1]:
                self.blob.complain_again(row, i, "Invalid size")
        return None

    def function(self, row: Row) -> Row | None:
        proto = self.blob.row(row.size)
        if proto is None or proto.kind != K.FUNC_PROTO:
            self.blob.complain(row, "Invalid type_id")
        for i in range(proto.vlen):  # all arguments have names
            name, type_id = self.blob.pair(proto, i)
            if type_id and not name:
                self.blob.complain(row, f"Invalid arg#{i + 1}")
        return None

    def tag(self, row: Row) -> Row | None:
        target = self.blob.row(row.size)
        if target is None or target.kind not in TAGGED:
            self.blob.complain(row, "Invalid type_id")
        if self.open(target):
            return target
        component = self.blob.word(row)
        if component == U32_MAX:
            return None
        count = 0
        if target.kind in (K.STRUCT, K.UNION):
            count = target.vlen
        elif target.kind == K.FUNC:
            count = self.blob.rows[target.size].vlen
        if component >= count:
            self.blob.complain(row, "Invalid component_idx")
        return None

    # --- prototypes --------------------------------------------------------------------------------------------------------

    def proto(self, row: Row) -> None:
        """Return type and arguments have sizes."""
        if row.size and not self.has_value(row.size):
            self.blob.complain(row, "Invalid return type")
        count = row.vlen
        if count and not self.blob.pair(row, count - 1)[1]:
            if self.blob.pair(row, count - 1)[0]:
                self.blob.complain(row, f"Invalid arg#{count}")
            count -= 1
        for i in range(count):
            name, type_id = self.blob.pair(row, i)
            named = not name or (name < len(self.blob.strings) and self.blob.is_identifier(name))
            if not named or not self.has_value(type_id):
                self.blob.complain(row, f"Invalid arg#{i + 1}")

    def has_value(self, type_id: int) -> bool:
        target = self.blob.row(type_id)
        if target is None or not type_id or target.kind in NEVER_NAMED:
            return False
        if target.kind in SETTLED_BY_OTHERS and not self.settled[type_id]:
            self.settle(target)
        return self.size_of(type_id) is not None


SETTLE: Final[dict[int, Callable[[Graph, Row], Row | None]]] = {
    **dict.fromkeys(MODIFIERS, Graph.modifier),
    K.PTR: Graph.pointer,
    K.ARRAY: Graph.array,
    K.STRUCT: Graph.members,
    K.UNION: Graph.members,
    K.VAR: Graph.variable,
    K.DATASEC: Graph.section,
    K.FUNC: Graph.function,
    K.DECL_TAG: Graph.tag,
}


def check_graph(blob: Blob) -> None:
    """Settle all types; BpfError for the first one that does not fit the others."""
    graph = Graph(blob)
    for row in blob.rows[1:]:
        if row.kind in SETTLED_BY_OTHERS and not graph.settled[row.id]:
            graph.settle(row)
        if row.kind == K.FUNC_PROTO:
            graph.proto(row)
    for row in blob.rows[1:]:
        if row.kind in MODIFIERS and row.kind != K.TYPE_TAG and blob.rows[row.size].kind == K.TYPE_TAG:
            blob.refuse(errno.EINVAL, "Type tags don't precede modifiers")

"""One call of one helper: what its row demands of the arguments, in the order in which Linux asks, and what comes of it.

Caller-saved registers die, references are taken and given back, packet pointers become invalid where packet data may move.
A kind of argument that needs more than a type has its handler in `HANDLERS`; other modules put theirs there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from userbpf.abi.consts import BPF_F_INNER_MAP, BPF_F_RDONLY_PROG
from userbpf.abi.enums import HelperId, MapType, ProgType
from userbpf.btf import Btf
from userbpf.spec.argtypes import (
    MEM_ALIGNED,
    MEM_FIXED_SIZE,
    MEM_RDONLY,
    MEM_RINGBUF,
    MEM_UNINIT,
    MEM_WRITE,
    OBJ_RELEASE,
    Arg,
    ArgBase,
    RetBase,
)
from userbpf.spec.helpers import HELPERS, HelperRow
from userbpf.spec.limits import BPF_MAX_VAR_SIZ
from userbpf.spec.maps import may_pass
from userbpf.spec.progs import PROGS
from userbpf.verifier import access, attach, btfargs, btfptr, callbacks, dynptr, kptr, locks, sections, stack, timers
from userbpf.verifier.api import Fact
from userbpf.verifier.domain import Val, from_range, from_srange, s64
from userbpf.verifier.fields import Field
from userbpf.verifier.maps import MapUse
from userbpf.verifier.references import clear_packet_pointers, leak, release_reference
from userbpf.verifier.regs import (
    ALLOC,
    BASE_MASK,
    BTF_ID,
    BUF,
    CTX,
    DYNPTR,
    FUNC,
    MAP_KEY,
    MAP_PTR,
    MAP_VALUE,
    MAYBE_NULL,
    MEM,
    NOT_INIT,
    PACKET,
    PACKET_META,
    PERCPU,
    RCU,
    RDONLY,
    RINGBUF,
    SCALAR,
    SOCK_COMMON,
    SOCK_TYPES,
    SOCKET,
    ST_DYNPTR,
    ST_SPILL,
    ST_ZERO,
    STACK,
    TCP_SOCK,
    TRUSTED,
    UNINIT,
    UNKNOWN_REG,
    XDP_SOCK,
    ZERO,
    Reg,
    ref_of,
    scalar,
    type_name,
)
from userbpf.verifier.reject import EACCES, EINVAL, Reject
from userbpf.verifier.state import Ref

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

_H = HelperId
_MAP_WRITERS: Final = frozenset((_H.map_update_elem, _H.map_delete_elem, _H.map_push_elem, _H.map_pop_elem))
# arguments of which the helper itself asks whether they are NULL, whatever their size
_LOOKS_FOR_NULL: Final = frozenset(((_H.snprintf, 4), (_H.trace_vprintk, 3), (_H.seq_printf, 4)))
_ELIDE: Final = (MapType.ARRAY, MapType.PERCPU_ARRAY)

_MEM_TYPES: Final = (
    STACK, PACKET, PACKET_META, MAP_KEY, MAP_VALUE, MEM, MEM | RINGBUF, BUF, BTF_ID | TRUSTED,
)  # fmt: skip
_SOCKS: Final = (SOCK_COMMON, SOCKET, TCP_SOCK, XDP_SOCK)
_BTF_SOCKS: Final = (*_SOCKS, BTF_ID, BTF_ID | TRUSTED)
ACCEPTS: Final[dict[ArgBase, tuple[int, ...]]] = {
    ArgBase.PTR_TO_MAP_KEY: _MEM_TYPES,
    ArgBase.PTR_TO_MAP_VALUE: _MEM_TYPES,
    ArgBase.PTR_TO_MEM: _MEM_TYPES,
    ArgBase.CONST_SIZE: (SCALAR,),
    ArgBase.CONST_SIZE_OR_ZERO: (SCALAR,),
    ArgBase.CONST_ALLOC_SIZE_OR_ZERO: (SCALAR,),
    ArgBase.CONST_MAP_PTR: (MAP_PTR,),
    ArgBase.PTR_TO_CTX: (CTX,),
    ArgBase.PTR_TO_SOCK_COMMON: _SOCKS,
    ArgBase.PTR_TO_SOCKET: (SOCKET,),
    ArgBase.PTR_TO_BTF_ID_SOCK_COMMON: _BTF_SOCKS,
    ArgBase.PTR_TO_BTF_ID: (BTF_ID, BTF_ID | TRUSTED, BTF_ID | RCU),
    ArgBase.PTR_TO_SPIN_LOCK: (MAP_VALUE, BTF_ID | ALLOC),
    ArgBase.PTR_TO_RINGBUF_MEM: (MEM | RINGBUF,),
    ArgBase.PTR_TO_PERCPU_BTF_ID: (BTF_ID | PERCPU, BTF_ID | PERCPU | RCU, BTF_ID | PERCPU | TRUSTED),
    ArgBase.PTR_TO_FUNC: (FUNC,),
    ArgBase.PTR_TO_STACK: (STACK,),
    ArgBase.PTR_TO_CONST_STR: (MAP_VALUE,),
    ArgBase.PTR_TO_TIMER: (MAP_VALUE,),
    ArgBase.KPTR_XCHG_DEST: (MAP_VALUE, BTF_ID | ALLOC),
    ArgBase.PTR_TO_DYNPTR: (STACK, DYNPTR),
}


class Call:
    """One call of one helper in one state: what the arguments turned out to be."""

    __slots__ = (
        "args", "ck", "dynptr", "key", "kptr", "map", "map_uid", "mem_size", "name", "pc", "percpu", "perhaps_null", "raw", "ref",
        "release", "row", "size", "size_max", "subprog", "true_key",
    )  # fmt: skip

    def __init__(self, ck: Checker, pc: int, row: HelperRow, args: tuple[Arg, ...]) -> None:
        self.ck = ck
        self.pc = pc
        self.row = row
        self.args = args
        self.name = f"bpf_{row.name}#{int(row.id)}"
        self.map: MapUse | None = None
        self.map_uid = 0
        self.kptr: tuple[Field, Btf] | None = None  # where bpf_kptr_xchg puts its pointer
        self.raw: tuple[int, int] | None = None  # (register, bytes) that the helper fills
        self.ref = 0
        self.release = 0
        self.mem_size = 0
        self.size: int | None = None
        self.size_max = 0
        self.key: int | None = None
        self.perhaps_null = 0  # the register of a buffer of some size that may be NULL
        self.true_key: int | None = None
        self.subprog = -1
        self.dynptr: Reg | None = None  # the dynptr among the arguments
        self.percpu: Reg | None = None  # the per-CPU variable among them

    def check(self) -> int:
        ck, row = self.ck, self.row
        if row.changes_pkt:
            ck.changes_packet = True
        if row.might_sleep:
            sections.sleeping_helper(ck, self.name)
            ck.may_sleep = True
        for number, arg in enumerate(self.args, 1):
            self._argument(number, arg)
        if self.perhaps_null and not ck.mirror:
            # Linux lets it pass where the helper takes NULL (for nothing); of some size the helper would follow it
            kind = ck.regs[self.perhaps_null][0]
            raise Reject(EACCES, f"R{self.perhaps_null} type={type_name(kind)} expected={type_name(STACK)}")
        if self.raw is not None:
            self._fill_raw(*self.raw)
        if self.release:
            self._release()
        ck.live_stack.commit(ck.frame.instance, self.pc)
        nxt = self._special()
        if nxt is not None:
            return nxt
        regs = ck.regs
        for i in range(6):
            regs[i] = UNINIT
        self._result()
        self._writable_map()
        self._compatible_map()
        self._fact()
        if row.changes_pkt or (row.id == _H.dynptr_write and self._writes_packet()):
            clear_packet_pointers(ck)
        if row.id == _H.tail_call and len(ck.st.frames) > 1:
            from userbpf.verifier.calls import tail_called

            return tail_called(ck, self.pc)
        return self.pc + 1

    # --- arguments -----------------------------------------------------------------------------------------------------
    def _argument(self, number: int, arg: Arg) -> None:
        ck = self.ck
        base = arg.base
        if base is ArgBase.DONTCARE:
            return
        reg = ck.regs[number]
        if reg[0] == NOT_INIT:
            raise Reject(EACCES, f"R{number} !read_ok")
        if base is ArgBase.ANYTHING:
            if reg[0] != SCALAR and not ck.allow_ptr_leaks:
                raise Reject(EACCES, f"R{number} leaks addr into helper function")
            return
        if reg[0] in (PACKET, PACKET_META) and not self._packet_ok():
            raise Reject(EACCES, "helper access to the packet is not allowed")
        null = reg[0] == SCALAR and reg[1] is ZERO
        if not (null and arg.maybe_null):
            self._type(number, reg, arg)
        if arg.flags & OBJ_RELEASE and base is ArgBase.PTR_TO_DYNPTR:
            dynptr.may_release(ck, number)
            self.release = number
        elif arg.flags & OBJ_RELEASE:
            if not ref_of(reg) and not null:
                raise Reject(EINVAL, f"R{number} must be referenced when passed to release function")
            self.release = number
        ref = ref_of(reg)
        if ref and base is not ArgBase.KPTR_XCHG_DEST:
            if self.ref:
                raise Reject(EACCES, f"more than one arg with ref_obj_id R{number} {ref} {self.ref}")
            self.ref = ref
        handler = HANDLERS.get(base)
        if handler is not None:
            handler(self, number, reg, arg)

    def _packet_ok(self) -> bool:
        prog_type = self.ck.req.prog_type
        if prog_type is ProgType.CGROUP_SOCKOPT:
            return True
        # the packet of a sock_ops program is for its own loads alone
        return bool(PROGS[prog_type].packet) and prog_type is not ProgType.SOCK_OPS and self.row.pkt_access

    def _type(self, number: int, reg: Reg, arg: Arg) -> None:
        accepted = ACCEPTS.get(arg.base)
        if arg.base is ArgBase.PTR_TO_MAP_VALUE and self.map is not None:
            accepted = self._map_value_types(arg, accepted)
        if accepted is None:
            return
        kind = reg[0]
        if arg.flags & MEM_RDONLY:
            kind &= ~RDONLY
        if arg.maybe_null:
            kind &= ~MAYBE_NULL
        put = self.row.id == _H.kptr_xchg and number == 2
        if put:
            kind &= ~(ALLOC | PERCPU)
        elif arg.base is ArgBase.PTR_TO_PERCPU_BTF_ID and kind & RCU:
            kind &= ~ALLOC
        if kind not in accepted:
            names = ", ".join(type_name(k) for k in accepted)
            raise Reject(EACCES, f"R{number} type={type_name(reg[0])} expected={names}")
        if put:
            kptr.source(self, number, reg)
        elif kind & BASE_MASK == BTF_ID and accepted is _MEM_TYPES and not arg.flags & MEM_RDONLY:
            text = f"bpf_{self.row.name}() may write into memory pointed by R{number} type={type_name(reg[0])}"
            raise Reject(EACCES, text)
        if arg.btf:
            btfargs.argument(self, number, reg, arg)
        self._offset(number, reg, arg)

    def _map_value_types(self, arg: Arg, accepted: tuple[int, ...] | None) -> tuple[int, ...] | None:
        assert self.map is not None
        kind = self.map.shape.map_type
        if kind in (MapType.SOCKMAP, MapType.SOCKHASH):
            if arg.flags:
                raise Reject(EINVAL, "invalid arg_type for sockmap/sockhash")
            return _BTF_SOCKS
        return accepted

    def _offset(self, number: int, reg: Reg, arg: Arg) -> None:
        """Which kinds of pointer may come with an offset."""
        base = reg[0] & BASE_MASK
        if arg.flags & OBJ_RELEASE and not (base == STACK and arg.base is ArgBase.PTR_TO_DYNPTR):
            access.released_whole(self.ck, number, reg)
        access.argument_offset(self.ck, number, reg)

    def memory(self, number: int, size: int, write: bool, zero_ok: bool, raw: bool) -> None:
        """Register `number` points at `size` bytes that the helper reads or writes."""
        ck = self.ck
        reg = ck.regs[number]
        kind = reg[0] & ~MAYBE_NULL  # where the row takes NULL, a pointer that may be NULL is as good
        base = kind & BASE_MASK
        if kind == STACK:
            if size == 0 and not zero_ok:
                raise Reject(EACCES, "invalid zero-sized read")
            self._stack_memory(number, reg, size, write, raw)
        elif kind in (PACKET, PACKET_META):
            access.packet_range(ck, number, reg, reg[3], size, zero_ok)
        elif kind == MAP_KEY:
            if write:
                raise Reject(EACCES, f"R{number} cannot write into {type_name(kind)}")
            access.region(ck, number, reg, reg[3], size, reg[4][0].shape.key_size, zero_ok)
        elif kind == MAP_VALUE:
            access.map_permission(reg[4][0], reg[3], size, write)
            access.region(ck, number, reg, reg[3], size, reg[4][0].shape.value_size, zero_ok)
            ck.check_special_fields(reg[4][0], reg, 0, size, True)
        elif base == MEM:
            if kind & RDONLY and write:
                raise Reject(EACCES, f"R{number} cannot write into {type_name(kind)}")
            access.region(ck, number, reg, reg[3], size, reg[4][0], zero_ok)
        elif kind == CTX and PROGS[ck.req.prog_type].plain_ctx:
            self._context_memory(number, reg, size, write, zero_ok)
        elif base == BTF_ID:
            btfptr.check_access(ck, -1, number, reg, 0, size, write, -1, False)
        elif base == BUF:
            if kind & RDONLY and write:
                raise Reject(EACCES, f"R{number} cannot write into {type_name(kind)}")
            access.buffer(ck, number, reg, reg[3], size, "rdonly" if kind & RDONLY else "rdwr")
        elif zero_ok and size == 0 and ((kind == SCALAR and reg[1] is ZERO) or kind & MAYBE_NULL):
            return
        else:
            raise Reject(EACCES, f"R{number} type={type_name(reg[0])} expected={type_name(STACK)}")

    def _context_memory(self, number: int, reg: Reg, size: int, write: bool, zero_ok: bool) -> None:
        """A context that is what it seems: its last byte tells whether all of it may be accessed."""
        if not size:
            if not zero_ok:
                raise Reject(EACCES)
            return
        access.access(self.ck, self.pc, number, reg, size - 1, 1, write, -1)

    def _stack_memory(self, number: int, reg: Reg, size: int, write: bool, raw: bool) -> None:
        ck = self.ck
        filled = raw and reg[1].mask == 0
        stack.bounds(ck, number, reg, 0, size, stack.WRITE if write else stack.READ, filled)
        if filled:
            self._no_dynptr(reg, size)
            self.raw = (number, size)
            return
        stack.initialised(ck, number, reg, 0, size, write)

    def _no_dynptr(self, reg: Reg, size: int) -> None:
        """A buffer that is filled whatever was in it must not hold a dynptr."""
        types = self.ck.st.frames[reg[4]].stack
        low = reg[3] + s64(reg[1].value)
        for at in range(low, low + size):
            index = (-at - 1) >> 3
            if index < len(types) and types[index][0][(-at - 1) & 7] == ST_DYNPTR:
                raise Reject(EACCES, f"potential write to dynptr at off={at} disallowed")

    def _fill_raw(self, number: int, size: int) -> None:
        """What the helper writes is unknown from here on."""
        ck = self.ck
        reg = ck.regs[number]
        frame = ck.st.frames[reg[4]]
        base = reg[3] + s64(reg[1].value)
        for i in range(size):
            stack.store(ck, self.pc, frame, base + i, 1, stack.NO_VALUE)

    # --- effects ---------------------------------------------------------------------------------------------------------
    def _release(self) -> None:
        ck = self.ck
        reg = ck.regs[self.release]
        if self.args[self.release - 1].base is ArgBase.PTR_TO_DYNPTR:
            dynptr.release(ck, self.release)
            return
        ref = ref_of(reg)
        if not ref and reg[0] == SCALAR and reg[1] is ZERO:
            return
        if not any(r.id == ref and r.kind == "ptr" for r in ck.st.refs):
            raise Reject(EINVAL, f"func {self.name} reference has not been acquired before")
        if self.row.id == _H.kptr_xchg:
            kptr.given_away(ck, ref)
        release_reference(ck, ref)

    def _special(self) -> int | None:
        ck, row = self.ck, self.row
        helper = row.id
        if helper == _H.tail_call:
            self._tail_call()
            if ck.st.refs or ck.st.sections.held:
                leak(ck, "tail_call")
        elif helper == _H.get_local_storage:
            if not (ck.regs[2][0] == SCALAR and ck.regs[2][1] is ZERO):
                raise Reject(EINVAL, "get_local_storage() doesn't support non-zero flags")
        elif helper == _H.set_retval:
            attach.check_set_retval(ck)
        elif helper == _H.get_func_ip:
            attach.has_entry(ck, self.name)
        elif helper == _H.dynptr_from_mem and ck.regs[1][0] != MAP_VALUE:
            raise Reject(EACCES, f"Unsupported reg type {type_name(ck.regs[1][0])} for bpf_dynptr_from_mem data")
        elif helper == _H.snprintf:
            callbacks.format_fits(self)
        elif row.callback is not None:
            return callbacks.call(self)
        return None

    def _tail_call(self) -> None:
        ck = self.ck
        assert self.map is not None
        if self.map.shape.map_type != MapType.PROG_ARRAY:
            ck.log.raw("expected prog array map for tail call")
            raise Reject(EINVAL)
        reg = ck.regs[3]
        val = reg[1]
        if reg[0] == SCALAR and val.mask == 0 and val.value < self.map.shape.max_entries:
            ck.mark_precise(3)
            self.key = self.true_key = val.value

    def _writable_map(self) -> None:
        """A map that programs may only read takes no updates either."""
        if self.map is None or self.row.id not in _MAP_WRITERS:
            return
        if self.map.flags & BPF_F_RDONLY_PROG:
            raise Reject(EACCES, "write into map forbidden")

    def _compatible_map(self) -> None:
        if self.map is None:
            return
        kind = self.map.shape.map_type
        helper = self.row.id
        if may_pass(kind, helper, self.ck.req.prog_type, int(self.ck.req.expected_attach_type)):
            return
        if kind in (MapType.SOCKMAP, MapType.SOCKHASH) and helper in (_H.map_update_elem, _H.map_delete_elem):
            self.ck.say("cannot update sockmap in this context")
        raise Reject(EINVAL, f"cannot pass map_type {int(kind)} into func {self.name}")

    def _result(self) -> None:
        ck, row = self.ck, self.row
        base = row.ret.base
        null = MAYBE_NULL if row.ret.maybe_null else 0
        if base is RetBase.INTEGER:
            ck.regs[0] = self._integer()
            return
        if base is RetBase.VOID:
            return
        if row.id == _H.kptr_xchg:
            ck.regs[0] = kptr.result(self)
            return
        if self.percpu is not None and self.percpu[0] & RCU:
            name, btf, type_id, _ = self.percpu[4]
            ck.regs[0] = (BTF_ID | RCU | ALLOC, ZERO, 0, 0, (name, btf, type_id, 0))
            return
        kind: int
        extra: object
        if base is RetBase.PTR_TO_MAP_VALUE:
            assert self.map is not None
            kind, extra = MAP_VALUE, (self.map, 0)
            if null and self._key_exists():
                null = 0
        elif base is RetBase.PTR_TO_SOCKET:
            kind, extra = SOCKET, 0
        elif base is RetBase.PTR_TO_SOCK_COMMON:
            kind, extra = SOCK_COMMON, 0
        elif base is RetBase.PTR_TO_TCP_SOCK:
            kind, extra = TCP_SOCK, 0
        elif base is RetBase.PTR_TO_MEM:
            kind, extra = MEM | (RINGBUF if row.ret.flags & MEM_RINGBUF else 0), (self.mem_size, 0)
        else:
            kind, extra = btfargs.result(self, row.ret)
        rid = ck.new_id() if null or (kind == MAP_VALUE and self.map is not None and locks.in_value(self.map)) else 0
        ref = 0
        if row.casts:
            ref = self.ref
        elif row.acquires or (self.map is not None and self._acquires_from_map()):
            rid = ref = ck.new_id()
            ck.st.refs = (*ck.st.refs, Ref("ptr", ref, self.pc))
        if kind & BASE_MASK == MEM and self.dynptr is not None:
            ck.regs[0] = dynptr.slice_of(self.dynptr, self.mem_size, kind | null, rid, self.dynptr[4].ref)
            return
        if kind & BASE_MASK == MEM:
            extra = (self.mem_size, ref)
        elif kind == MAP_VALUE:
            extra = (self.map, ref, self.map_uid) if self.map_uid else (self.map, ref)
        elif kind in SOCK_TYPES:
            extra = ref
        elif kind & BASE_MASK == BTF_ID and ref and isinstance(extra, tuple):
            extra = (*extra[:3], ref)
        ck.regs[0] = (kind | null, ZERO, rid, 0, extra)

    def _acquires_from_map(self) -> bool:
        assert self.map is not None
        return self.row.id == _H.map_lookup_elem and self.map.shape.map_type in (MapType.SOCKMAP, MapType.SOCKHASH)

    def _key_exists(self) -> bool:
        """An array has every element below max_entries."""
        if self.row.id not in (_H.map_lookup_elem, _H.map_lookup_percpu_elem) or self.map is None:
            return False
        shape = self.map.shape
        return (
            self.key is not None
            and shape.map_type in _ELIDE
            and self.row.id == _H.map_lookup_elem
            and self.key < shape.max_entries
            # an inner array made with BPF_F_INNER_MAP may have fewer elements than its template, but never none
            and (self.map.index >= 0 or not self.key or not shape.map_flags & BPF_F_INNER_MAP)
        )

    def _integer(self) -> Reg:
        row = self.row
        if row.ret_bound:
            return scalar(_bounded(self.size_max))
        if row.id == _H.get_smp_processor_id:
            cpus = self.ck.req.nr_cpus
            return scalar(from_range(0, cpus - 1)) if cpus else UNKNOWN_REG
        return UNKNOWN_REG

    def _writes_packet(self) -> bool:
        """A write through a dynptr may make a packet's bytes linear, and so move them."""
        return self.dynptr is not None and self.dynptr[4].kind in (dynptr.SKB, dynptr.SKB_META)

    def _fact(self) -> None:
        ck = self.ck
        fact = ck.facts[self.pc]
        index = self.map.index if self.map is not None and self.map.index >= 0 else None
        key = self.true_key if index is not None else None
        if fact is None:
            ck.facts[self.pc] = Fact(helper=int(self.row.id), map=index, key=key, arg_size=self.size)
            return
        if fact.map != index:
            fact.map = fact.key = None
        if fact.key != key:
            fact.key = None
        if fact.arg_size != self.size:
            fact.arg_size = None

    # --- one kind of argument each ---------------------------------------------------------------------------------------
    def arg_map(self, number: int, reg: Reg, arg: Arg) -> None:
        if self.row.id == _H.timer_init:
            timers.same_map(self, reg)
        self.map = reg[4][0]
        self.map_uid = timers.uid(reg)

    def arg_key(self, number: int, reg: Reg, arg: Arg) -> None:
        if self.map is None:
            raise Reject(EACCES, "invalid map_ptr to access map->key")
        size = self.map.shape.key_size
        self.memory(number, size, False, False, False)
        if self.map.shape.map_type in _ELIDE:
            found = _constant_key(self.ck, self.ck.regs[number], size)
            if found is not None and self.row.id == _H.map_lookup_elem:
                self.key, self.true_key = found

    def arg_value(self, number: int, reg: Reg, arg: Arg) -> None:
        if arg.maybe_null and reg[0] == SCALAR and reg[1] is ZERO:
            return
        if self.map is None:
            raise Reject(EACCES, "invalid map_ptr to access map->value")
        if reg[0] in SOCK_TYPES:
            return
        size = self.map.shape.value_size
        if self.map.shape.map_type == MapType.BLOOM_FILTER and self.row.id == _H.map_peek_elem:
            self.memory(number, size, False, False, False)  # asks whether the value is in
            return
        self.memory(number, size, bool(arg.flags & MEM_WRITE), False, bool(arg.flags & MEM_UNINIT))

    def arg_mem(self, number: int, reg: Reg, arg: Arg) -> None:
        if not arg.flags & MEM_FIXED_SIZE:
            return
        self.memory(number, arg.size, bool(arg.flags & MEM_WRITE), False, bool(arg.flags & MEM_UNINIT))
        if arg.flags & MEM_ALIGNED:
            access.align_argument(self.ck.regs[number], arg.size)

    def arg_size(self, number: int, reg: Reg, arg: Arg) -> None:
        zero_ok = arg.base is ArgBase.CONST_SIZE_OR_ZERO
        val = reg[1]
        self.size_max = val.umax
        buffer = self.args[number - 2]
        raw = bool(buffer.flags & MEM_UNINIT) and val.mask == 0
        if val.smin < 0:
            raise Reject(EACCES, f"R{number} min value is negative, either use unsigned or 'var &= const'")
        if val.umin == 0 and not zero_ok:
            raise Reject(EACCES, f"R{number} invalid zero-sized read: u64=[{val.umin},{val.umax}]")
        if val.umax >= BPF_MAX_VAR_SIZ:
            raise Reject(
                EACCES,
                f"R{number} unbounded memory access, use 'var &= const' or 'if (var < const)'",
            )
        if val.umax and self.ck.regs[number - 1][0] & MAYBE_NULL and (self.row.id, number - 1) not in _LOOKS_FOR_NULL:
            self.perhaps_null = number - 1
        self.memory(number - 1, val.umax, bool(buffer.flags & MEM_WRITE), zero_ok, raw)
        self.size = val.value if val.mask == 0 else None
        self.ck.mark_precise(number)

    def arg_alloc(self, number: int, reg: Reg, arg: Arg) -> None:
        if reg[1].mask:
            raise Reject(EACCES, f"R{number} is not a known constant'")
        self.mem_size = reg[1].value & 0xFFFFFFFF  # as Linux, which keeps 32 bits of it
        self.size = reg[1].value
        self.ck.mark_precise(number)

    def arg_func(self, number: int, reg: Reg, arg: Arg) -> None:
        self.subprog = reg[4]

    def arg_str(self, number: int, reg: Reg, arg: Arg) -> None:
        callbacks.constant_string(self, number, reg)


HANDLERS: Final[dict[ArgBase, Callable[[Call, int, Reg, Arg], None]]] = {
    ArgBase.CONST_MAP_PTR: Call.arg_map,
    ArgBase.PTR_TO_MAP_KEY: Call.arg_key,
    ArgBase.PTR_TO_MAP_VALUE: Call.arg_value,
    ArgBase.PTR_TO_MEM: Call.arg_mem,
    ArgBase.CONST_SIZE: Call.arg_size,
    ArgBase.CONST_SIZE_OR_ZERO: Call.arg_size,
    ArgBase.CONST_ALLOC_SIZE_OR_ZERO: Call.arg_alloc,
    ArgBase.PTR_TO_FUNC: Call.arg_func,
    ArgBase.PTR_TO_CONST_STR: Call.arg_str,
    ArgBase.PTR_TO_DYNPTR: dynptr.helper_argument,
    ArgBase.PTR_TO_SPIN_LOCK: locks.helper_argument,
    ArgBase.KPTR_XCHG_DEST: kptr.destination,
    ArgBase.PTR_TO_TIMER: timers.helper_argument,
    ArgBase.PTR_TO_PERCPU_BTF_ID: btfargs.percpu_argument,
}

_bounds_known: dict[int, Val] = {}


def _bounded(size: int) -> Val:
    """A length or a negative errno."""
    val = _bounds_known.get(size)
    if val is None:
        val = _bounds_known[size] = from_srange(-4095, size if size < 1 << 31 else (1 << 31) - 1)
    return val


def _constant_key(ck: Checker, reg: Reg, size: int) -> tuple[int, int] | None:
    """The key on the stack, where it is one constant: what Linux takes it for, and what it is."""
    if reg[0] != STACK or reg[1].mask:
        return None
    frame = ck.st.frames[reg[4]]
    off = reg[3] + s64(reg[1].value)
    first = -off - 1
    index = first >> 3
    if index >= len(frame.stack):
        return None
    types, spill = frame.stack[index]
    if first & 7 >= size - 1 and all(types[(first & 7) - i] == ST_ZERO for i in range(size)):
        return 0, 0  # beside whatever else was spilled to the slot
    if types[7] == ST_SPILL and spill is not None:
        if spill[0] != SCALAR or spill[1].mask:
            return None
        length = 0
        while first & 7 >= length and types[(first & 7) - length] == ST_SPILL:
            length += 1
        if length != size:
            return None
        callbacks.mark_slot_precise(ck, frame, index)
        if off % 8:
            # Linux takes the whole register for its upper half here; where that makes a small key, the half is zero
            return spill[1].value, spill[1].value >> 32
        # not cut to the key's size: as Linux, a wide constant is taken for no key
        return spill[1].value, spill[1].value
    return None


def check_memory(ck: Checker, number: int, size: int) -> None:
    """Register `number` points at `size` bytes that a global function reads and writes.

    Linux asks only to read where it points at a structure of the kernel, which the function may then overwrite.
    """
    call = Call(ck, ck.pc, HELPERS[HelperId.map_lookup_elem], ())
    call.memory(number, size, False, False, False)
    if ck.mirror and ck.regs[number][0] & BASE_MASK == BTF_ID:
        return
    call.memory(number, size, True, False, False)

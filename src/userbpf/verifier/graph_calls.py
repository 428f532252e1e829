"""Kernel functions over objects of the program's own: making and dropping them, counting owners, lists and trees.

A list head or tree root lies beside a lock, and all that is done with it is done with that lock held. An object that is put
on one is the graph's from then on; the program keeps a borrowed pointer to it. What is taken off is the program's again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.btf import Array, Btf, Enum, Int, Param, Struct
from userbpf.errors import BtfError
from userbpf.verifier import fields, graph, kfunc_args, kfuncs, locks
from userbpf.verifier.jump import map_regs
from userbpf.verifier.regs import (
    ALLOC,
    BASE_MASK,
    BORROWED,
    BTF_ID,
    MAP_VALUE,
    MAYBE_NULL,
    PERCPU,
    RCU,
    ZERO,
    Reg,
    ref_of,
)
from userbpf.verifier.reject import EFAULT, EINVAL, Reject
from userbpf.verifier.state import Frame, Ref

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker
    from userbpf.verifier.kfuncs import KfuncCall

PERCPU_MAX: Final = 512
OWNED: Final = BTF_ID | ALLOC
PUSHERS: Final = ("bpf_list_push_front_impl", "bpf_list_push_back_impl", "bpf_rbtree_add_impl")


# --- making and dropping ---------------------------------------------------------------------------------------------------


def new(call: KfuncCall) -> bool:
    """bpf_obj_new_impl, bpf_percpu_obj_new_impl: an object of a struct of the program's BTF."""
    ck = call.ck
    percpu = "percpu" in call.kfunc.name
    btf = ck.req.btf
    if btf is None:
        raise Reject(EINVAL, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF")
    type_id = call.constant or 0
    if type_id >> 32:
        raise Reject(EINVAL, "local type ID argument must be in range [0, U32_MAX]")
    try:
        t = btf.by_id(type_id)
    except (BtfError, IndexError, KeyError):
        t = None
    if not isinstance(t, Struct):
        raise Reject(EINVAL, "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct")
    record = graph.record_of_type(ck, btf, type_id)
    if percpu:
        if t.size > PERCPU_MAX:
            raise Reject(EINVAL, f"bpf_percpu_obj_new type size ({t.size}) is greater than {PERCPU_MAX}")
        if not _numbers(btf, t):
            raise Reject(EINVAL, "bpf_percpu_obj_new type ID argument must be of a struct of scalars")
        if record is not None:
            raise Reject(EINVAL, "bpf_percpu_obj_new type ID argument must not contain special fields")
    fact = ck.facts[call.pc]
    if fact is not None:
        fact.arg_size = t.size
    ck.regs[0] = _acquired(call, btf, type_id, 0, PERCPU if percpu else 0)
    return True


def _numbers(btf: Btf, t: Struct) -> bool:
    for member in t.members:
        inner = btf.resolve(member.type)
        while isinstance(inner, Array):
            inner = btf.resolve(inner.type)
        if isinstance(inner, Struct):
            if inner.name not in fields.STRUCTS and not _numbers(btf, inner):
                return False
        elif not isinstance(inner, (Int, Enum)):
            return False
    return True


def _acquired(call: KfuncCall, btf: Btf, type_id: int, off: int, flags: int, null: bool = True) -> Reg:
    """A new reference, that may be NULL."""
    ck = call.ck
    if null:
        ck.new_id()
    ref = ck.new_id()
    ck.st.refs = (*ck.st.refs, Ref("ptr", ref, call.pc))
    kind = OWNED | flags | (MAYBE_NULL if null else 0)
    return (kind, ZERO, ref if null else 0, off, (btf.by_id(type_id).name, btf, type_id, ref))


def _alloc(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    """The object that bpf_obj_drop_impl or bpf_percpu_obj_drop_impl gets."""
    percpu = "percpu" in call.kfunc.name
    if reg[0] == OWNED and percpu:
        raise Reject(EINVAL, f"arg#{number} expected for bpf_obj_drop_impl()")
    if reg[0] == OWNED | PERCPU and not percpu:
        raise Reject(EINVAL, f"arg#{number} expected for bpf_percpu_obj_drop_impl()")
    if reg[0] not in (OWNED, OWNED | PERCPU):
        raise Reject(EINVAL, f"arg#{number} expected pointer to allocated object")
    if not ref_of(reg):
        raise Reject(EINVAL, "allocated object must be referenced")


def _counted(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    """The object that bpf_refcount_acquire_impl gets."""
    if reg[0] & BASE_MASK != BTF_ID or not reg[0] & ALLOC:
        raise Reject(EINVAL, f"arg#{number} is neither owning or non-owning ref")
    record = graph.record_of(call.ck, reg)
    if record is None:
        raise Reject(EFAULT, "verifier bug: Couldn't find btf_record")
    if fields.REFCOUNT not in record.kinds:
        raise Reject(EINVAL, f"arg#{number} doesn't point to a type with bpf_refcount field")
    call.object = reg


def refcount_acquire(call: KfuncCall) -> bool:
    """One more owner: of an object that is on a graph only if it still lives."""
    reg = call.object
    assert reg is not None
    _, btf, type_id, _ = reg[4]
    call.ck.regs[0] = _acquired(call, btf, type_id, 0, 0, bool(reg[0] & BORROWED))
    return True


# --- roots and nodes -------------------------------------------------------------------------------------------------------


def _root(call: KfuncCall, number: int, reg: Reg, kind: str) -> None:
    ck = call.ck
    regno = number + 1
    if reg[0] != MAP_VALUE and reg[0] != OWNED:
        raise Reject(EINVAL, f"arg#{number} expected pointer to map value or allocated object")
    if reg[0] == OWNED and not ref_of(reg):
        raise Reject(EINVAL, "allocated object must be referenced")
    if reg[1].mask:
        raise Reject(EINVAL, f"R{regno} doesn't have constant offset. {kind} has to be at the constant offset")
    record = reg[4][0].fields if reg[0] == MAP_VALUE else graph.record_of(ck, reg)
    off = reg[3] + reg[1].value
    field = record.at(off, frozenset((kind,))) if record is not None else None
    if field is None or record is None or field.off != off:
        raise Reject(EINVAL, f"{kind} not found at offset={off}")
    owner = reg[4][0] if reg[0] == MAP_VALUE else reg[4][2]
    held = [r for r in ck.st.refs if r.kind == "lock"]
    if not any(r.id == reg[2] and r.ptr == owner for r in held):
        if held:
            ck.say("held lock and object are not in the same allocation")
        lock = record.first(fields.SPIN_LOCK)
        raise Reject(EINVAL, f"bpf_spin_lock at off={lock.off if lock is not None else -22} must be held for {kind}")
    own = reg[4][0].shape.btf if reg[0] == MAP_VALUE else reg[4][1]
    assert own is not None
    call.root = (field, own)


def _list_head(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    _root(call, number, reg, fields.LIST_HEAD)


def _rb_root(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    _root(call, number, reg, fields.RB_ROOT)


def _list_node(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    _owned_node(call, number, reg)
    _node(call, number, reg, fields.LIST_NODE)


def _rb_node(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    if call.kfunc.name == "bpf_rbtree_add_impl":
        _owned_node(call, number, reg)
    else:
        if not reg[0] & BORROWED and not ref_of(reg):
            raise Reject(EINVAL, f"{call.kfunc.name} can only take non-owning or refcounted bpf_rb_node pointer")
        if locks.in_less(call.ck):
            raise Reject(EINVAL, f"{call.kfunc.name} not allowed in rbtree cb")
    _node(call, number, reg, fields.RB_NODE)


def _owned_node(call: KfuncCall, number: int, reg: Reg) -> None:
    if reg[0] != OWNED:
        raise Reject(EINVAL, f"arg#{number} expected pointer to allocated object")
    if not ref_of(reg):
        raise Reject(EINVAL, "allocated object must be referenced")


def _node(call: KfuncCall, number: int, reg: Reg, kind: str) -> None:
    regno = number + 1
    if reg[1].mask:
        raise Reject(EINVAL, f"R{regno} doesn't have constant offset. {kind} has to be at the constant offset")
    record = graph.record_of(call.ck, reg)
    off = reg[3] + reg[1].value
    field = record.at(off, frozenset((kind,))) if record is not None else None
    if field is None or field.off != off:
        raise Reject(EINVAL, f"{kind} not found at offset={off}")
    if call.root is None or call.root[0].target is None:
        raise Reject(EINVAL, f"{kind} without a root")
    root, own = call.root
    want = root.target
    assert want is not None
    name, btf, type_id, _ = reg[4]
    if type_id != want.id or btf is not own:
        raise Reject(
            EINVAL,
            f"operation on {root.kind} expects arg#1 {kind} at offset={root.node_off} in struct {want.name}, "
            f"but arg is at offset={off} in struct {name}",
        )
    if off != root.node_off:
        raise Reject(
            EINVAL,
            f"arg#1 offset={off}, but expected {kind} at offset={root.node_off} in struct {want.name}",
        )
    call.object = reg


# --- results ---------------------------------------------------------------------------------------------------------------


def _element(call: KfuncCall) -> tuple[Btf, int, int]:
    """BTF, type and node offset of what hangs on the root of this call."""
    assert call.root is not None
    root, btf = call.root
    assert root.target is not None
    return btf, root.target.id, root.node_off


def taken(call: KfuncCall) -> bool:
    """What was taken off belongs to the program."""
    btf, type_id, off = _element(call)
    call.ck.regs[0] = _acquired(call, btf, type_id, off, 0)
    return True


def looked_at(call: KfuncCall) -> bool:
    """What is still on the graph is only borrowed."""
    btf, type_id, off = _element(call)
    ck = call.ck
    ck.regs[0] = borrowed(ck, btf, type_id, off, MAYBE_NULL, ck.new_id())
    return True


def borrowed(ck: Checker, btf: Btf, type_id: int, off: int, flags: int, rid: int) -> Reg:
    """A pointer to an object on a graph; those with a count of owners are protected by RCU besides."""
    record = graph.record_of_type(ck, btf, type_id)
    counted = RCU if record is not None and fields.REFCOUNT in record.kinds else 0
    kind = OWNED | BORROWED | counted | flags
    return (kind, ZERO, rid, off, (btf.by_id(type_id).name, btf, type_id, 0))


def put_on(call: KfuncCall) -> int | None:
    """The object is the graph's now; pointers to it are borrowed."""
    ck = call.ck
    if call.kfunc.name == "bpf_rbtree_add_impl":
        _check_less(call)
    reg = call.object
    assert reg is not None
    ref = ref_of(reg)

    def lend(each: Reg) -> Reg:
        if each[0] & BASE_MASK != BTF_ID or ref_of(each) != ref:
            return each
        _, btf, type_id, _ = each[4]
        return borrowed(ck, btf, type_id, each[3], each[0] & MAYBE_NULL, each[2])

    map_regs(ck.st, lend)
    ck.st.refs = tuple(r for r in ck.st.refs if r.id != ref or r.kind != "ptr")
    return None


def _check_less(call: KfuncCall) -> None:
    """The comparison of two elements, checked as a callback that runs before the call returns."""
    from userbpf.verifier import callbacks

    ck = call.ck
    btf, type_id, off = _element(call)

    def setup(frame: Frame) -> None:
        for regno in (1, 2):
            frame.regs[regno] = borrowed(ck, btf, type_id, off, 0, 0)

    callbacks.push(ck, call.pc, call.callback, setup)


kfunc_args.SUFFIXES["__alloc"] = _alloc
kfunc_args.SUFFIXES["__refcounted_kptr"] = _counted
kfunc_args.STRUCTS[fields.LIST_HEAD] = _list_head
kfunc_args.STRUCTS[fields.LIST_NODE] = _list_node
kfunc_args.STRUCTS[fields.RB_ROOT] = _rb_root
kfunc_args.STRUCTS[fields.RB_NODE] = _rb_node
kfuncs.RESULTS.update(
    bpf_obj_new_impl=new,
    bpf_percpu_obj_new_impl=new,
    bpf_refcount_acquire_impl=refcount_acquire,
    bpf_list_pop_front=taken,
    bpf_list_pop_back=taken,
    bpf_rbtree_remove=taken,
    bpf_list_front=looked_at,
    bpf_list_back=looked_at,
    bpf_rbtree_first=looked_at,
    bpf_rbtree_root=looked_at,
    bpf_rbtree_left=looked_at,
    bpf_rbtree_right=looked_at,
)
for _name in PUSHERS:
    kfuncs.SPECIAL[_name] = put_on

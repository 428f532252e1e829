# ruff: noqa: E501
"""Faults for the verifier, a line each: what is wrong, where, the text that is replaced, its replacement, and a probe that sees it.

A test of the tests: every fault must be noticed by what the default run compares. The probe named is the first that is asked;
where it is silent all are (`sweep`), so a line whose probe no longer fits is mended by running

    cd tests && python -m bench_verifier.faults            every fault against every probe: which notice it
    cd tests && python -m bench_verifier.faults packet     the faults whose title has this word

A fault that nothing notices is a hole in the tests.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final, NamedTuple

from bench_verifier import probes
from bench_verifier.inject import Gone, injected


class Fault(NamedTuple):
    """`function` is a path inside of `userbpf.verifier.<module>`; `old` stands there once."""

    title: str
    module: str
    function: str
    old: str
    new: str
    by: str = ""


FAULTS: Final = [
    # -- packets
    Fault("packet range for pointers of other bases, too", "jump", "_found", "reg[0] == kind and reg[2] == rid", "reg[0] == kind", "case:fault-pkt-other-base"),
    Fault("packet range one byte too long", "jump", "_found", "pkt[3] + 1 if open_end else pkt[3]", "pkt[3] + 1", "case:pkt-off-by-one"),
    Fault("packet range without the open end's byte", "jump", "_found", "pkt[3] + 1 if open_end else pkt[3]", "pkt[3]", "case:fault-pkt-open-end"),
    Fault("packet range found on the wrong side", "jump", "_compare_packets", "_found(here, pkt, False)\n        _mark_end(other", "_found(other, pkt, False)\n        _mark_end(here", "case:pkt-checked"),
    Fault("packet range of an offset that may be large", "jump", "_found", "pkt[1].umax > MAX_PACKET_OFF or pkt[1].umax + pkt[3] > MAX_PACKET_OFF", "False", "case:fault-pkt-large-offset"),
    Fault("packet range kept when a variable is added", "alu", "_add", "(kind, val, ck.new_id(), off, 0)", "(kind, val, rid, off, extra)", "case:fault-pkt-other-base"),
    Fault("packet range kept when a negative amount is subtracted", "alu", "_sub", "0 if smin < 0 else extra", "extra", "case:fault-pkt-minus-negative"),
    Fault("packet pointers survive a helper that moves the packet", "helper_call", "Call.check", "row.changes_pkt or (row", "(row", "case:pkt-after-adjust"),
    Fault("packet pointers on the stack survive a move", "references", "forget", "map_regs(ck.st, lambda reg: UNKNOWN_REG if dead(reg) else reg)", "pass", "case:fault-pkt-on-the-stack"),
    Fault("packet slices survive a move", "references", "clear_packet_pointers", "dynptr.drop_packet_slices(ck)", "pass", "object:kfuncs-dyn_slice_rdwr"),
    Fault("packet pointers survive a write through a dynptr", "helper_call", "Call._writes_packet", "self.dynptr is not None and", "False and", "object:faults-dynptr_write_moves"),
    Fault("packet bytes behind the range", "access", "packet_range", "not within(off, size, limit, zero_ok)", "off > limit", "case:pkt-unchecked"),
    Fault("packet written where it may not be", "access", "_packet", "write and not ck.packet_writable()", "False", "case:pkt-write-cgroup"),
    Fault("packet end mistaken for the packet", "jump", "_predict_packet", "return False if beyond else None", "return True if beyond else None", "case:fault-pkt-known-beyond"),
    Fault("packet handed to helpers that cannot take it", "helper_call", "Call._packet_ok", "and self.row.pkt_access", "", "case:fault-pkt-to-a-helper"),
    Fault("packet pointer may be negative", "access", "packet_range", "reg[1].smin < 0", "False", "case:fault-pkt-negative"),
    # -- null checks
    Fault("null check on the wrong side", "jump", "_split", "(other, here) if op == JEQ", "(here, other) if op == JEQ", "case:map-checked"),
    Fault("null check of registers only", "jump", "map_regs", "if spill is not None and slot[0][7] == ST_SPILL:", "if False:", "case:fault-pkt-on-the-stack"),
    Fault("null check in the own frame only", "jump", "map_regs", "for frame in st.frames:", "for frame in st.frames[-1:]:", "case:fault-pkt-of-the-callers-stack"),
    Fault("null check of every pointer", "jump", "mark_null", "reg[2] != rid or not reg[0] & MAYBE_NULL", "not reg[0] & MAYBE_NULL", "case:fault-null-of-another"),
    Fault("null pointer keeps its reference", "jump", "mark_null", "ref and ref == rid and is_null", "False", "case:ring-submit"),
    Fault("null not needed to be checked before arithmetic", "alu", "pointer_math", "kind & MAYBE_NULL", "False", "case:map-null-arithmetic"),
    Fault("every element of an array exists", "helper_call", "Call._key_exists", "and self.key < shape.max_entries", "", "case:fault-null-key-4"),
    Fault("null handed where no null may be", "helper_call", "Call._type", "if arg.maybe_null:\n            kind &= ~MAYBE_NULL", "kind &= ~MAYBE_NULL", "case:sock-unchecked"),
    Fault("null predicted of pointers that may be null", "jump", "_never_null", "if kind & MAYBE_NULL:\n        return False", "kind &= ~MAYBE_NULL", "case:map-checked"),
    Fault("equal to a pointer means not null on both sides", "jump", "_equal_pointers", "eq = other if op == JEQ else here", "eq = here if op == JEQ else other", "case:fault-null-equal"),
    # -- spills
    Fault("spill of four bytes fills eight", "stack", "load", "if size <= spill_size and off % 8 == 0:", "if off % 8 == 0:", "log:socket_filter-5047"),
    Fault("fill of the high bytes as of the low", "stack", "load", "if size <= spill_size and off % 8 == 0:", "if size <= spill_size:", "case:fault-fill-high-byte"),
    Fault("fill of a part keeps the whole value", "stack", "_fill_part", "cast(val, size)", "val", "log:socket_filter-5002"),
    Fault("fill of a part that signs as one that does not", "stack", "_fill_part", "sext(val, 8 * size, True) if sx else", "", "log:socket_filter-5011"),
    Fault("fill of a part of a pointer", "stack", "load", 'raise Reject(EACCES, "invalid size of register fill")', "spill = UNKNOWN_REG", "case:fill-part-of-pointer"),
    Fault("spill overwritten in part stays", "stack", "store", "stack[index] = (bytes(new), None)", "stack[index] = (types, slot[1]) if types[7] == ST_SPILL else (bytes(new), None)", "case:fill-corrupt"),
    Fault("spill of a part of a pointer", "stack", "store", 'raise Reject(EACCES, "invalid size of register spill")', "pass", "case:spill-part"),
    Fault("spill of a part leaves the other bytes a spill", "stack", "_spilled", "if i >= 8 - size:", "if i >= 8 - size or types[i] == ST_SPILL:", "log:socket_filter-5006"),
    Fault("spill that does not fit keeps its id", "stack", "store", "not fits and reg[2]", "False", "log:socket_filter-5014"),
    Fault("zero bytes of a number that is not zero", "stack", "store", "not reg[1].mask and not reg[1].value", "not reg[1].value", "log:socket_filter-5023"),
    Fault("zero forgotten to be precise", "stack", "store", "ck.mark_precise(value)", "pass", "log:sched_cls-5009"),
    Fault("stack pointers in the caller's frame", "stack", "store", "if frame is not ck.frame and reg[0] == STACK:", "if False:", "case:fault-callees-stack-in-the-callers"),
    Fault("store through a pointer to a caller's frame lands in the own", "stack", "access", "frame = ck.st.frames[reg[4]]", "frame = ck.frame", "case:call-stack-of-caller"),
    # -- variable offsets
    Fault("variable store leaves spills alone", "stack", "store_var", "stack[index] = (bytes(new), None)", "stack[index] = (bytes(new), spill) if spill is None else stack[index]", "log:socket_filter-5016"),
    Fault("variable store touches the first byte only", "stack", "store_var", "high = reg[3] + reg[1].smax + off + size", "high = low + size", "log:sched_cls-5034"),
    Fault("variable store of zero zeroes everything", "stack", "store_var", "if zero and kind == ST_ZERO:", "if zero:", "iter:array_idx"),
    Fault("variable load of zeroes where one is not", "stack", "load_var", "zeros == high - low", "zeros >= size", "case:fault-variable-zeroes"),
    Fault("variable load of what was never written", "stack", "load_var", "initialised(ck, regno, reg, off, size, False)", "pass", "log:socket_filter-5016"),
    Fault("variable offset outside of the frame", "stack", "bounds", "high = reg[3] + val.smax + off + size", "high = reg[3] + val.smin + off + size", "case:stack-variable-out"),
    Fault("stack deeper than it is", "stack", "bounds", "or low >= 0:", "and low >= 0:", "case:stack-below"),
    # -- linked ids
    Fault("linked scalars without their distance", "jump", "_carried", "const(delta & (U64 if is64 else U32))", "const(0)", "log:sched_cls-5001"),
    Fault("linked scalars with the distance the other way", "jump", "_carried", "delta = reg[3] - source[3]", "delta = source[3] - reg[3]", "log:sched_cls-5001"),
    Fault("linked at distances of both widths", "jump", "_carried", "if mine and other and mine != other:", "if False:", "case:fault-link-two-widths"),
    Fault("linked over an addition that wraps 32 bits", "alu", "_binary_imm.step", "is64 or val.umax <= U32", "True", "log:socket_filter-5031"),
    Fault("linked twice at a distance", "alu", "_linked", "rid & ADD_CONST or", "", "case:fault-link-twice-moved"),
    Fault("linked to a copy of 32 bits that loses some", "alu", "_compile_mov.partial", "reg[2] if whole else 0", "reg[2]", "log:socket_filter-5057-mutated"),
    Fault("linked although changed since", "jump", "_sync", "(reg[2] ^ rid) & ID_MASK", "False", "log:sched_cls-5038"),
    Fault("linked spill not refined", "jump", "_collect", "found.append((number, False, i))", "pass", "log:socket_filter-5007"),
    Fault("linked registers beyond six keep the id", "jump", "_collect", "frame.regs[i] = (SCALAR, reg[1], 0, 0, None)", "pass", "log:sched_cls-5038"),
    Fault("linked by 32-bit moves of what may be larger", "alu", "_compile_mov.partial", "val.umax <= U32", "True", "log:socket_filter-5008"),
    # -- branches
    Fault("branch sides exchanged", "jump", "_split", "_, dst_true, src_true, dst_false, src_false = result", "_, dst_false, src_false, dst_true, src_true = result", "case:map-index-negative"),
    Fault("branch refines the source with the other's range", "jump", "_split", "oregs[s] = _with(src, src_true)", "oregs[s] = _with(src, dst_true)", "log:socket_filter-5021"),
    Fault("branch predicted the wrong way", "jump", "compile_jump.step", "return target if pred else pc + 1", "return pc + 1 if pred else target", "case:loop-forever"),
    Fault("fork forgets one value", "alu", "fork", "other = ck.push(pc, pc)", "other = ck.st.copy()", "case:sign-mask"),
    # -- arithmetic
    Fault("sign extension as zero extension", "alu", "_compile_mov.partial", "sext(val, off, is64) if off else", "to_le(val, off // 8) if off else", "log:socket_filter-5010"),
    Fault("byte swap as cut", "alu", "_swapped", "bswap(v, size)", "to_le(v, size)", "log:socket_filter-5002"),
    Fault("pointer moved to the other side", "alu", "pointer_math", "new = _add(ck, ptr, amount)", "new = _sub(ck, ptr, amount)", "case:stack-variable-out"),
    Fault("pointer plus an unbounded number", "alu", "_sane", "if val.smin == S64_MIN:", "if False:", "case:pointer-unbounded"),
    Fault("pointer arithmetic in 32 bits", "alu", "pointer_math", "if not is64:", "if False:", "case:pointer-32"),
    Fault("pointer arithmetic with the offset lost", "alu", "_add", "return (kind, val, rid, total, extra)", "return (kind, val, rid, off, extra)", "case:ctx-moved"),
    # -- precision, pruning
    Fault("precision of a size not asked", "helper_call", "Call.arg_size", "self.ck.mark_precise(number)", "pass", "log:socket_filter-5001"),
    Fault("precision of an offset not asked", "alu", "_binary_reg.step", "ck.mark_precise(s)", "pass", "log:socket_filter-5001"),
    Fault("precision of a predicted branch not asked", "jump", "compile_jump.step", "if dst[0] == SCALAR:\n                ck.mark_precise(d)", "pass", "case:loop-forever"),
    Fault("precision does not go through moves", "precision", "_segment", "mask & ~writes | reads", "mask & ~writes", "log:socket_filter-5007"),
    Fault("precision does not go through sums", "precision", "_segment", "regs[number] = mask | reads", "pass", "log:sched_cls-5012"),
    Fault("precision does not go through comparisons", "precision", "_segment", "regs[number] = mask | writes", "pass", "log:socket_filter-5012"),
    Fault("precision does not go through the stack", "precision", "_back_over_load", "wanted.slots[frameno] |= 1 << slot", "pass", "log:socket_filter-5001"),
    Fault("precision does not go from slots to registers", "precision", "_back_over_store", "wanted.regs[number] |= 1 << insn.src", "pass", "log:socket_filter-5001"),
    Fault("precision does not go into callees", "precision", "_back_over_exit", "regs[number + 1] |= 1", "pass", "log:socket_filter-5019"),
    Fault("precision does not go to callers", "precision", "_back_over_call", "regs[number - 1] |= regs[number] & ARGS", "pass", "log:socket_filter-5019"),
    Fault("precision does not go along links", "precision", "_sync_links", "(wanted.regs if is_reg else wanted.slots)[frameno] |= 1 << number", "pass", "log:socket_filter-5027"),
    Fault("precision does not go to parents", "precision", "_walk", "changed |= _mark_parent(ck, parent, wanted)\n", "return changed\n", "case:loop-forever"),
    Fault("precision not carried over from the state that covers", "precision", "propagate", "wanted.regs[number] |= 1 << i", "pass", "log:socket_filter-5006"),
    Fault("precision not carried over from its slots", "precision", "propagate", "wanted.slots[number] |= 1 << i", "pass", "log:socket_filter-5006"),
    Fault("precision of what an atomic fetched not asked", "precision", "_fetched", "if ck.mirror or", "if True or", "hole:fault-join-through-an-atomic"),
    Fault("precise scalars compared by nothing", "prune", "_regs_differ", "and not precise >> i & 1", "", "log:socket_filter-5006"),
    Fault("precise spills compared by nothing", "prune", "_stack_differs", "and not precise >> i & 1", "", "log:socket_filter-5006"),
    Fault("scalars compared the other way round", "prune", "_reg_safe", "leq(old[1], cur[1]) and ids.same_scalar", "leq(cur[1], old[1]) and ids.same_scalar", "log:socket_filter-5012"),
    Fault("scalar links ignored in comparisons", "prune", "_reg_safe", " and ids.same_scalar(old_id, cur_id)", "", "case:fault-join-links"),
    Fault("distances of links ignored in comparisons", "prune", "_reg_safe", " or old[3] != cur[3]:\n                return False\n            old_id", ":\n                return False\n            old_id", "case:fault-join-distances"),
    Fault("packet ranges ignored in comparisons", "prune", "_reg_safe", "elif old[4] > cur[4]:", "elif False:", "case:fault-join-packet-range"),
    Fault("packet ids ignored in comparisons", "prune", "_reg_safe", "old[3] == cur[3] and ids.same(old[2], cur[2]) and leq", "old[3] == cur[3] and leq", "case:fault-join-packet-ids"),
    Fault("map value offsets ignored in comparisons", "prune", "_reg_safe", "if old[3] != cur[3] or not leq(old[1], cur[1]):", "if False:", "case:fault-join-value-offsets"),
    Fault("which map a value is of ignored in comparisons", "prune", "_reg_safe", "old[4][0] is not cur[4][0] or", "", "case:fault-join-maps"),
    Fault("kinds of registers ignored in comparisons", "prune", "_reg_safe", "if kind != cur[0]:\n        return False", "if kind != cur[0]:\n        return True", "case:mixed-memory-and-context"),
    Fault("the whole stack ignored in comparisons", "prune", "states_equal", "fold, fcur, ids, how, asked)\n", "fold, fcur, ids, how, ())\n", "object:user_ringbuf-read"),
    Fault("bytes of the stack ignored in comparisons", "prune", "_slot_safe", "not _bytes_safe(types, other[0], have, uninit_ok)", "False", "case:fault-join-bytes"),
    Fault("zero bytes compare with anything", "prune", "_byte_safe", "old == cur or", "old == cur or old == ST_ZERO or", "case:fault-join-bytes"),
    Fault("references ignored in comparisons", "prune", "states_equal", "len(old.refs) != len(cur.refs) or", "", "object:callbacks-find_vma_leak"),
    Fault("sections ignored in comparisons", "prune", "states_equal", " or old.sections != cur.sections", "", "object:faults-section_joined"),
    Fault("ids of several to one", "ids", "IdMap.same", "if cur in self.back:\n            return False", "pass", "case:fault-join-ids-shared"),
    Fault("loop that never ends taken for covered", "prune", "_against_open", "raise Reject(EINVAL)", "return True", "case:loop-forever"),
    Fault("open loop's states compared as if done", "loops", "Loops.incomplete", "return found is not None and bool(found.backedges)", "return False", "object:faults-iter_precise_too_late"),
    Fault("open loop's precision not settled", "loops", "Loops.leave", "self._settle(ck, found)", "pass", "object:faults-iter_never_precise"),
    # -- liveness
    Fault("live slots dropped", "prune", "_clean", "numbers_of(alive & (1 << len(before)) - 1)", "numbers_of(0)", "log:socket_filter-5006"),
    Fault("live slots of callers dropped", "prune", "_clean", "for number, frame in enumerate(st.frames):\n        alive", "for number, frame in list(enumerate(st.frames)):\n        places = places[-1:]\n        alive", "case:fault-join-callers-slot"),
    Fault("reads of callees forgotten", "livestack", "LiveStack._tell_outer", "table[callsite] = Marks(read, write)", "table[callsite] = Marks(0, write)", "log:socket_filter-5007"),
    Fault("later reads forgotten", "livestack", "LiveStack.commit", "marks.may_read |= read", "pass", "case:fault-join-read-later"),
    Fault("written on one way counts as written", "livestack", "LiveStack.commit", "marks.must_write &= write", "pass", "case:fault-join-written-on-one-way"),
    Fault("write of a part counts as of the whole", "stack", "store", "if size == 8:\n        ck.live_stack", "if True:\n        ck.live_stack", "log:socket_filter-5001"),
    Fault("what the next round of a callback reads is dropped", "prune", "_clean", "if number < last and ck.cfg.callbacks[pc] == SYNC:", "if False:", "object:faults-loop_next_round_reads"),
    # -- references
    Fault("reference not missed at the end", "calls", "exit_step.leave", "if st.refs or st.sections.held:", "if False:", "case:ring-leak"),
    Fault("reference not missed at a tail call", "helper_call", "Call._special", 'leak(ck, "tail_call")', "pass", "case:fault-tail-call-with-a-reference"),
    Fault("reference not missed at a classic load", "calls", "compile_ld_abs.load", "if ck.st.refs or ck.st.sections.held:", "if False:", "object:locks-ldabs_in"),
    Fault("copies outlive their reference", "references", "release_reference", "forget(ck, lambda reg: ref_of(reg) == ref)", "pass", "case:ring-twice"),
    Fault("release of what was never taken", "helper_call", "Call._argument", "if not ref_of(reg) and not null:", "if False:", "object:xchg-unreferenced2"),
    Fault("casts lose the reference", "helper_call", "Call._result", "ref = self.ref", "ref = 0", "case:fault-cast-outlives"),
    Fault("release at an offset", "helper_call", "Call._offset", "if arg.flags & OBJ_RELEASE and not", "if False and not", "case:ring-moved"),
    Fault("reference of a kernel function not taken", "kfuncs", "KfuncCall._result", "ck.st.refs = (*ck.st.refs, Ref(\"ptr\", ref, self.pc))", "pass", "btf:kfunc acquire and release, trusted"),
    # -- callbacks
    Fault("callback's result not checked", "callbacks", "leave", 'results.require_range(ck, reg, callee.callback_ret, "At callback return")', "pass", "object:callbacks-find_vma_ok"),
    Fault("callback's result may be 2", "callbacks", "push", "(0, 1)", "(0, 2)", "object:callbacks-find_vma_ret2"),
    Fault("callback not checked at all", "callbacks", "call", "_push(the_call, setup)", "pass", "object:callbacks-find_vma_ok"),
    Fault("callback's key may be written", "access", "access", "if write:\n            raise Reject(EACCES, f\"write to change key", "if False:\n            raise Reject(EACCES, f\"write to change key", "object:faults-each_key_written"),
    Fault("callback's first argument a constant", "callbacks", "_setup_loop", "UNKNOWN_REG", "(SCALAR, ZERO, 0, 0, None)", "object:user_ringbuf-dyn_cb_release"),
    Fault("callback's value of another map", "callbacks", "_setup_each", "(MAP_VALUE, ZERO, 0, 0, map_reg[4])", "(MAP_VALUE, ZERO, 0, 8, map_reg[4])", "object:faults-each_key_written"),
    # -- maps
    Fault("map value: upper bound not checked", "access", "region", "not within(umax + off, size, limit, zero_ok)", "False", "case:fault-fill-high-byte"),
    Fault("map value: lower bound not checked", "access", "region", "if smin < 0:", "if False:", "case:fault-value-slightly-negative"),
    Fault("map value: one byte too many", "access", "within", "off + size <= limit", "off + size <= limit + 1", "case:pkt-unchecked"),
    Fault("map value: constant offset ignored", "access", "_map_value", "region(ck, regno, reg, reg[3] + off, size", "region(ck, regno, reg, off, size", "case:map-value-direct-out"),
    Fault("map that is read-only written", "access", "map_permission", "write and flags & BPF_F_RDONLY_PROG", "False", "case:map-rdonly-write"),
    Fault("map given to a helper that cannot take it", "helper_call", "Call._compatible_map", "if may_pass(", "if True or may_pass(", "object:user_ringbuf-wrong_map"),
    Fault("map key too short", "helper_call", "Call.arg_key", "self.memory(number, size, False, False, False)", "self.memory(number, 1, False, False, False)", "case:map-queue-lookup"),
    Fault("map value of constant content although it may change", "access", "_map_value", "at is not None and use.constant", "at is not None", "object:locks-loop_in"),
    # -- atomics
    Fault("atomic fetch leaves the register as it was", "atomic", "_compile_rmw.step", "ck.regs[result] = UNKNOWN_REG", "pass", "case:fault-atomic-own-pointer"),
    Fault("atomic on the context", "atomic", "_no_atomics", "kind in (CTX, PACKET", "kind in (PACKET", "case:atomic-ctx"),
    Fault("atomic writes nothing", "atomic", "_compile_rmw.step", "access.access(ck, pc, d, reg, off, size, True, NO_VALUE, True)", "pass", "log:socket_filter-5001"),
    Fault("atomic at any offset", "atomic", "_compile_rmw.step", "access.access(ck, pc, d, reg, off, size, False, result, True)\n        access.access(ck, pc, d, reg, off, size, True, NO_VALUE, True)", "access.access(ck, pc, d, reg, off, size, False, result)\n        access.access(ck, pc, d, reg, off, size, True, NO_VALUE)", "object:kptr-atomic_kptr"),
    Fault("atomic compare-and-exchange without r0", "atomic", "_compile_rmw.step", "_need(ck, 0)", "pass", "case:fault-atomic-no-r0"),
    # -- functions
    Fault("function's result lost", "calls", "_return", "caller.regs[0] = result", "caller.regs[0] = known(0)", "log:socket_filter-5010"),
    Fault("function leaves the caller's arguments", "calls", "call_subprog", "for i in range(6):\n        caller.regs[i] = UNINIT", "pass", "case:call-clobbers"),
    Fault("function returns a pointer to its stack", "calls", "_return", "if result[0] == STACK:", "if False:", "case:call-returns-stack"),
    Fault("function's callee-saved registers visible", "check", "Checker.enter_frame", "callee.regs[10] =", "callee.regs[6:10] = self.regs[6:10]\n        callee.regs[10] =", "log:socket_filter-5007"),
    Fault("global function's arguments not checked", "callbacks", "call_global", "if wrong:", "if False:", "object:faults-global_memory_short"),
    Fault("global function moves no packet", "callbacks", "call_global", "if ck.moves_packet(number):", "if False:", "object:faults-global_moves_the_packet"),
    Fault("global function's memory never null", "callbacks", "global_arguments", "elif arg.nullable:", "elif False:", "object:faults-global_memory_null"),
    Fault("global function not checked", "results", "_check_globals", "if func.verified or not func.called:", "if True:", "object:faults-global_moves_nothing"),
    Fault("global function returns what the caller had in r0", "callbacks", "call_global", "regs[0] = UNKNOWN_REG", "regs[0] = (SCALAR, ZERO, 0, 0, None)", "object:faults-global_moves_the_packet"),
    Fault("stack of a chain of calls not summed", "depth", "_walk", "if depth > MAX_BPF_STACK:", "if False:", "case:call-deep-stack"),
    Fault("calls clobber nothing", "helper_call", "Call.check", "regs[i] = UNINIT", "pass", "case:loop-random"),
    Fault("tail call of a function always comes off", "helper_call", "Call.check", "if row.id == _H.tail_call and len(ck.st.frames) > 1:", "if False:", "object:faults-tail_call_in_a_function"),
    Fault("tail call of a function leaves the packet", "calls", "tail_called", "UNKNOWN_REG, True", "UNKNOWN_REG, False", "object:faults-tail_call_in_a_function"),
    Fault("classic load ends no function", "calls", "compile_ld_abs.load", "if len(ck.st.frames) == 1:", "if True:", "object:faults-classic_load_in_a_function"),
    # -- context, returns
    Fault("context at an offset", "access", "fixed_offset", "if not fixed_ok and reg[3]:", "if False:", "case:ctx-moved"),
    Fault("context at a variable offset", "access", "fixed_offset", "if reg[1].mask or reg[1].value:", "if False:", "case:fault-ctx-variable"),
    Fault("context written anywhere", "context", "CtxRules._find", "find(self.fields, off, size, write)", "find(self.fields, off, size, False)", "case:ctx-write-no"),
    Fault("context's pointers cut", "context", "CtxRules.access", "if reg is not None and sx and reg[0] != SCALAR:", "if False:", "case:fault-ctx-signed-pointer"),
    Fault("result out of range", "results", "require_range", "if allowed[0] <= smin and smax <= allowed[1]:", "if smax <= allowed[1]:", "object:callbacks-find_vma_retneg"),
    Fault("result of any kind", "results", "check_return", "allowed is not None", "False", "case:ret-cgroup-4"),
    # -- memory that is only read, sizes
    Fault("read-only memory written", "access", "_mem", "if write and reg[0] & RDONLY:", "if False:", "btf:SCHED_CLS slice write of a read-only one"),
    Fault("read-only memory written by a helper", "helper_call", "Call.memory", "if kind & RDONLY and write:\n                raise Reject(EACCES, f\"R{number} cannot write into {type_name(kind)}\")\n            access.region", "if False:\n                pass\n            access.region", "object:faults-slice_filled_by_a_kfunc"),
    Fault("size of zero", "helper_call", "Call.arg_size", "if val.umin == 0 and not zero_ok:", "if False:", "case:helper-size-0"),
    Fault("size that may be negative", "helper_call", "Call.arg_size", "if val.smin < 0:", "if False:", "case:helper-size-negative"),
    Fault("size by its smallest value", "helper_call", "Call.arg_size", "self.memory(number - 1, val.umax", "self.memory(number - 1, val.umin", "case:fault-size-largest"),
    Fault("size without limit", "helper_call", "Call.arg_size", "if val.umax >= BPF_MAX_VAR_SIZ:", "if False:", "case:helper-size-free"),
    Fault("helper's result bounded by the least size", "helper_call", "Call.arg_size", "self.size_max = val.umax", "self.size_max = val.umin", "object:faults-result_as_large_as_the_size"),
    Fault("helper's buffer stays what it was", "helper_call", "Call.check", "self._fill_raw(*self.raw)", "pass", "log:socket_filter-5001"),
    Fault("helper's buffer of known bytes stays known", "stack", "initialised", "if clobber:\n                new", "if False:\n                new", "btf:SCHED_CLS conntrack alloc, insert"),
    # -- dynptrs, iterators, locks, sections
    Fault("dynptr overwritten although it holds a reference", "dynptr", "destroy", "if ref:", "if False:", "object:dynptr-overwrite_ref"),
    Fault("dynptr's slices outlive it", "dynptr", "_wipe", "forget(ck, lambda reg: isinstance", "(lambda *_: None)(ck, lambda reg: isinstance", "object:dynptr-overwrite"),
    Fault("dynptr that was never made", "dynptr", "expect", "if at is None or not holds(*at):", "if at is None:", "object:dynptr-uninit"),
    Fault("dynptr in the middle", "dynptr", "holds", "low[0] == DYN_TYPES == high[0] and low[1] is not None and low[1][4].first", "low[0] == DYN_TYPES", "object:dynptr-twodyn"),
    Fault("dynptr's slice larger than asked", "dynptr", "slice_of", "Slice(size, ref", "Slice(size + 8, ref", "btf:SCHED_CLS slice read"),
    Fault("dynptr not told apart in comparisons", "dynptr", "same_kind", "a.kind == b.kind and", "", "object:faults-dynptr_joined"),
    Fault("iterator's end not on the path", "iters", "step", "ck.regs[0] = ZERO_REG", "pass", "object:kfuncs-iter_num"),
    Fault("iterator never goes round", "iters", "step", "if it.state == ACTIVE:", "if False:", "object:kfuncs-iter_num"),
    Fault("iterator that was never made", "iters", "argument", "not _holds(at[0], at[1], slots, name)", "at[1] >= len(at[0].stack)", "object:kfuncs-iter_overwrite"),
    Fault("iterator not destroyed", "iters", "_make", "ck.st.refs = (*ck.st.refs, Ref(\"ptr\", ref, call.pc))", "pass", "object:kfuncs-iter_num"),
    Fault("iterator's loop not widened", "iters", "step", "widen(before, onward)", "pass", "object:faults-iter_counted_in_a_circle"),
    Fault("iterator's state ignored in comparisons", "iters", "same", "_what(old[4]) == _what(cur[4]) and", "", "iter:noloop_next2"),
    Fault("widening forgets what is precise", "widen", "_widened", " or precise", "", "iter:cnt_exact"),
    Fault("widening leaves everything", "widen", "_widened", "return UNKNOWN_REG", "return cur", "object:faults-iter_counted_in_a_circle"),
    Fault("widening forgets ids", "widen", "_widened", " and ids.same(old[2], cur[2])", "", "object:faults-iter_links_differ"),
    Fault("lock of another value given back", "locks", "_give_back", "if not any(_is(ref, owner, reg) and ref.how == how for ref in ck.st.refs):", "if False:", "object:locks-different_id"),
    Fault("helpers under a lock", "locks", "no_helper", "number != HelperId.spin_unlock and", "False and", "object:locks-double"),
    Fault("lock not at its place", "locks", "where", "if off != field.off:", "if False:", "object:locks-wrong_off"),
    Fault("lock touched directly", "check", "Checker.check_special_fields", "if use.fields is not None:", "if False:", "object:kptr-st_kptr4"),
    Fault("lock's lookups not told apart", "jump", "map_value_found", "reg[2] if locks.in_value(use) else 0", "0", "object:locks-lock_ok"),
    Fault("RCU pointers outlive the section", "sections", "enter_or_leave", "change_all(ck, _unprotected)", "pass", "object:kfuncs2-task_iter_rcu_early"),
    Fault("RCU section left open", "references", "leak", "if ck.st.sections.rcu:", "if False:", "object:kfuncs-rcu_nounlock"),
    Fault("sleeping function inside of a section", "sections", "enter_or_leave", "elif sleeps:", "elif False:", "object:faults-sleep_in_a_section"),
    Fault("interrupt flag restored out of order", "sections", "_restore", "last is None or last.id != irq.ref", "last is None", "object:kfuncs-irq_nested_order"),
    Fault("preemption counted once", "sections", "enter_or_leave", "preempt += 1", "preempt = 1", "object:kfuncs-preempt"),
    # -- the kernel's structures
    Fault("kernel structure written", "btfptr", "check_access", "check_store(ck, btf, name, type_id, total, size)", "pass", "btf:store"),
    Fault("untrusted pointers trusted", "btfptr", "trust", "return UNTRUSTED\n    if not (is", "return TRUSTED\n    if not (is", "btf:SCHED_CLS cast_to_kern_ctx"),
    Fault("pointers read inside of RCU trusted", "btfptr", "trust", "return flags | RCU | MAYBE_NULL", "return flags | TRUSTED", "btf:skb rcu or null"),
    Fault("null of the kernel's pointers overlooked", "btfptr", "BtfContext._pointer", "flags |= MAYBE_NULL", "pass", "btf:nullable argument"),
    Fault("kptr of another type stored", "kptr", "match", "if fits:\n        return", "return", "object:graph-xchg_wrong"),
    Fault("kptr of a reference overwritten by a store", "kptr", "access", "if field.kind in OWNED:", "if False:", "object:kptr-st_kptr"),
    Fault("kptr_xchg gives nothing to give back", "kptr", "result", "ck.st.refs = (*ck.st.refs, Ref(\"ptr\", ref, call.pc))", "pass", "object:graph-xchg_own"),
    Fault("list without its lock", "graph_calls", "_root", "if not any(r.id == reg[2] and r.ptr == owner for r in held):", "if False:", "object:graph-push_nolock"),
    Fault("node of another type on a list", "graph_calls", "_node", "if type_id != want.id or btf is not own:", "if False:", "object:graph-push_wrongtype"),
    # -- what only a run through callbacks, loops without a count, global functions and meta data shows
    Fault("callback runs one round", "callbacks", "leave", "return callee.callsite", "return callee.callsite + 1", "follow:wide_socket_filter-0"),
    Fault("callback's rounds end one early", "callbacks", "call", "frame.callback_depth >= ck.regs[1][1].umax", "frame.callback_depth + 1 >= ck.regs[1][1].umax", "follow:wide_sched_cls-2"),
    Fault("callback's rounds end with the smallest count", "callbacks", "call", "frame.callback_depth >= ck.regs[1][1].umax", "frame.callback_depth >= ck.regs[1][1].umin", "follow:wide_sched_cls-7"),
    Fault("callback's key starts behind it", "callbacks", "_setup_each", "(MAP_KEY, ZERO, 0, 0, map_reg[4])", "(MAP_KEY, ZERO, 0, 4, map_reg[4])", "follow:wide_socket_filter-0"),
    Fault("callback's data are the key", "callbacks", "_setup_each", "callee.regs[4] = caller[3]", "callee.regs[4] = callee.regs[2]", "follow:wide_socket_filter-0"),
    Fault("callback's changes of its caller's stack are lost", "callbacks", "leave", "st.frames.pop()\n    ck.set_state(st)", "st.frames.pop()\n    st.frames[-1].stack = before.frames[-1].stack.copy() if (before := previous(st.parent, st, callee.callsite)) else st.frames[-1].stack\n    ck.set_state(st)", "cover:wide_socket_filter-5"),
    Fault("may_goto never goes on", "jump", "_compile_may_goto.step", "ck.push(pc + 1, pc)", "ck.push(target, pc)", "follow:wide_socket_filter-0"),
    Fault("may_goto's rounds compared by nothing", "prune", "_against_open", "old.may_goto_depth != cur.may_goto_depth and states_equal(ck, old, cur, WITHIN)", "old.may_goto_depth != cur.may_goto_depth", "cover:wide_sched_cls-37"),
    Fault("callback's rounds compared by nothing", "prune", "_against_open", "if ck.cfg.callbacks[pc] == SYNC:\n        return states_equal(ck, old, cur, WITHIN)", "if ck.cfg.callbacks[pc] == SYNC:\n        return True", "cover:wide_socket_filter-5"),
    Fault("packet has as many bytes as its meta data", "jump", "_found", "reg[0] == kind and reg[2] == rid", "reg[0] in (PACKET, PACKET_META) and reg[2] == rid", "follow:wide_sched_cls-6"),
    Fault("meta data's range on the wrong side", "jump", "_compare_packets", "_found(here, pkt, False)\n        _mark_end(other", "_found(other if pkt[0] == PACKET_META else here, pkt, False)\n        _mark_end(other", "follow:wide_sched_cls-6"),
    Fault("meta data survive a move of the packet", "references", "clear_packet_pointers", "(PACKET, PACKET_META, PACKET_END)", "(PACKET, PACKET_END)", "case:fault-pkt-meta-after-a-move"),
    Fault("global function leaves its arguments' memory", "callbacks", "_memory_argument", "check_memory(ck, number, size)", "pass", "follow:wide_sched_cls-4"),
    Fault("global function's argument is the smallest", "callbacks", "global_arguments", "frame.regs[i] = UNKNOWN_REG", "frame.regs[i] = (SCALAR, ZERO, 0, 0, None)", "follow:wide_socket_filter-0"),
    Fault("ordered store as a load", "atomic", "_compile_release.step", "size, True, s, True)", "size, False, NO_VALUE, True)", "follow:wide_socket_filter-3"),
    Fault("ordered load leaves the register", "atomic", "_compile_acquire.step", "size, False, d, True)", "size, False, NO_VALUE, True)", "follow:wide_xdp-0"),
    Fault("classic load gives zero", "calls", "compile_ld_abs.load", "regs[0] = UNKNOWN_REG", "regs[0] = known(0)", "follow:wide_socket_filter-9"),
    Fault("one processor fewer", "helper_call", "Call._integer", "cpus - 1", "cpus - 2", "follow:wide_socket_filter-1"),
]  # fmt: skip


def noticed_by(fault: Fault, candidates: Iterable[tuple[str, probes.Probe]], most: int = 1) -> list[str]:
    """Names of the first probes that see a fault."""
    out: list[str] = []
    with injected(fault.module, fault.function, fault.old, fault.new):
        for name, probe in candidates:
            if probes.notices(probe):
                out.append(name)
                if len(out) == most:
                    break
    return out


def main(args: list[str]) -> None:
    silent = 0
    for fault in FAULTS:
        if args and args[0] not in fault.title:
            continue
        try:
            found = noticed_by(fault, probes.everything(), 4)
        except Gone as e:
            print(f"GONE {fault.title}: {e}", flush=True)
            continue
        silent += not found
        print(f"{'HOLE' if not found else 'seen'} {fault.title}: {', '.join(found)}", flush=True)
    print(f"{silent} of {len(FAULTS)} faults are seen by nothing")


if __name__ == "__main__":
    main(sys.argv[1:])

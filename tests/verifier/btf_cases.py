"""Programs over the kernel's own types: what they are attached to, and their text. `{struct.member.member}` is an offset."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from userbpf.abi.enums import AttachType as A
from userbpf.abi.enums import ProgType as P
from userbpf.btf import Btf, Composite, Func, Struct, Typedef, Var


def _words(text: str) -> list[str]:
    return text.split()


WHOLE: Final = _words("""
    task_struct sk_buff sock tcp_sock file inode dentry linux_binprm cgroup css_set bpf_iter_meta rate_sample
    bpf_dummy_ops bpf_dummy_ops_state tcp_congestion_ops bpf_map bpf_array bpf_htab bpf_map_ops list_head
    sock_common request_sock mm_struct ack_sample nf_hook_state file_operations vm_area_struct socket
    cgroup_subsys_state cred pt_regs
    """)
TYPEDEFS: Final = _words("""
    btf_trace_sched_switch btf_trace_task_newtask btf_trace_kfree_skb btf_trace_sched_process_exec
    btf_trace_sched_pi_setprio btf_trace_initcall_start btf_trace_tcp_send_reset btf_trace_cgroup_mkdir
    btf_trace_sys_enter
    """)
FUNCS: Final = _words("""
    bpf_iter_task bpf_iter_task_file bpf_iter_task_vma bpf_iter_bpf_map bpf_iter_bpf_map_elem bpf_iter_tcp
    bpf_iter_num_new do_exit bpf_fentry_test1 bpf_lsm_file_open
    """)
STRUCTS: Final = ("bpf_struct_ops_tcp_congestion_ops", "bpf_struct_ops_bpf_dummy_ops", "bpf_ctx_convert", *WHOLE)
KFUNCS: Final = _words("""
    bpf_task_acquire bpf_task_release bpf_task_from_pid bpf_cgroup_acquire bpf_cgroup_release bpf_cgroup_from_id
    bpf_cpumask_create bpf_cpumask_release bpf_cpumask_set_cpu bpf_cpumask_copy bpf_cast_to_kern_ctx bpf_rdonly_cast
    bpf_dynptr_from_skb bpf_dynptr_from_xdp bpf_dynptr_slice bpf_dynptr_slice_rdwr bpf_dynptr_size bpf_dynptr_clone
    bpf_map_sum_elem_count bpf_strnstr bpf_task_under_cgroup bpf_copy_from_user_str bpf_sock_destroy bpf_skb_ct_lookup
    bpf_ct_release bpf_ct_insert_entry bpf_skb_ct_alloc bpf_xdp_metadata_rx_hash bpf_get_kmem_cache bpf_stream_vprintk_impl
    bpf_iter_num_new bpf_iter_num_next bpf_iter_num_destroy bpf_rcu_read_lock bpf_rcu_read_unlock bpf_preempt_disable
    bpf_preempt_enable
    """)
VARS: Final = ("runqueues", "bpf_prog_active")
KINDS: Final = {"typedef": Typedef, "func": Func, "kfunc": Func, "struct": Struct, "var": Var}


# name -> type, key size, value size, entries
MAPS: Final = {"array": (2, 4, 8, 4), "hash": (1, 4, 8, 4), "ringbuf": (27, 0, 0, 4096)}


class Case(NamedTuple):
    """One BPF_PROG_LOAD. `target` is "kind:name", a number, or empty."""

    name: str
    text: str
    prog_type: int = P.TRACING
    target: str = "typedef:btf_trace_sched_switch"
    attach: int = A.TRACE_RAW_TP
    flags: int = 0
    licence: str = "GPL"


def target_id(case: Case, btf: Btf) -> int:
    if not case.target:
        return 0
    if case.target.isdigit():
        return int(case.target)
    kind, _, name = case.target.partition(":")
    found = btf.find(name, KINDS[kind])
    assert found is not None, case.target
    return found.id


def resolved(text: str, btf: Btf) -> str:
    """Offsets of members and numbers of types put in."""

    def offset(match: re.Match[str]) -> str:
        kind, _, rest = match[1].partition(":")
        if rest:
            found = btf.find(rest, KINDS[kind])
            assert found is not None, rest
            return str(found.id)
        name, *path = match[1].split(".")
        t = btf.find(name, Struct)
        assert t is not None, name
        if path == ["size"]:
            return str(t.size)
        total, at = 0, t.id
        for step in path:
            where = place(btf, at, step)
            assert where is not None, match[0]
            total, at = total + where[0], where[1]
        return str(total)

    return re.sub(r"\{([\w.:]+)\}", offset, text)


def place(btf: Btf, type_id: int, name: str) -> tuple[int, int] | None:
    """Offset and type of a member, through structures without name."""
    t = btf.resolve(type_id)
    if not isinstance(t, Composite):
        return None
    for member in t.members:
        if member.name == name:
            return member.offset, member.type
        if not member.name and (inner := place(btf, member.type, name)) is not None:
            return member.offset + inner[0], inner[1]
    return None


END: Final = "\nr0 = 0\nexit"
TASK: Final = "r6 = *(u64 *)(r1 +8)\n"
_TASK_CASES: Final = {
    "scalar member": "r2 = *(u32 *)(r6 +{task_struct.pid})",
    "half of a member": "r2 = *(u16 *)(r6 +{task_struct.pid})",
    "signed load": "r2 = *(s32 *)(r6 +{task_struct.pid})",
    "array of chars": "r2 = *(u64 *)(r6 +{task_struct.comm})",
    "list head": "r2 = *(u64 *)(r6 +{task_struct.tasks})\nr3 = *(u64 *)(r2 +0)\nr4 = *(u64 *)(r3 +8)",
    "stale pointer": "r2 = *(u64 *)(r6 +{task_struct.mm})",
    "two stale pointers": "r2 = *(u64 *)(r6 +{task_struct.mm})\nr3 = *(u64 *)(r2 +{mm_struct.exe_file})",
    "rcu pointer": "r2 = *(u64 *)(r6 +{task_struct.real_parent})\nr3 = *(u64 *)(r2 +{task_struct.group_leader})",
    "rcu pointer to a map of CPUs": "r2 = *(u64 *)(r6 +{task_struct.cpus_ptr})\nr3 = *(u64 *)(r2 +0)",
    "rcu through css_set": "r2 = *(u64 *)(r6 +{task_struct.cgroups})\nr3 = *(u64 *)(r2 +{css_set.dfl_cgrp})\n"
    "r4 = *(u64 *)(r3 +{cgroup.kn})",
    "pointer to a number": "r2 = *(u64 *)(r6 +{task_struct.set_child_tid})\nr3 = *(u32 *)(r2 +0)\nr2 += 8\n"
    "r3 = *(u64 *)(r2 -100)",
    "write to what a pointer to a number points at": "r2 = *(u64 *)(r6 +{task_struct.set_child_tid})\n*(u32 *)(r2 +0) = 1",
    "negative offset": "r2 = *(u64 *)(r6 -8)",
    "behind the end": "r2 = *(u64 *)(r6 +{task_struct.size})",
    "part of a pointer": "r2 = *(u32 *)(r6 +{task_struct.mm})",
    "across two members": "r2 = *(u64 *)(r6 +9)",
    "store": "*(u64 *)(r6 +{task_struct.pid}) = 0",
    "store of a register": "*(u32 *)(r6 +{task_struct.pid}) = r6",
    "atomic": "r2 = 1\nlock *(u64 *)(r6 +8) += r2",
    "constant offset": "r6 += 8\nr2 = *(u64 *)(r6 +0)",
    "offset made negative": "r6 += -8\nr2 = *(u64 *)(r6 +0)",
    "offset made negative and back": "r6 += -8\nr2 = *(u64 *)(r6 +8)",
    "variable offset": "r3 = *(u64 *)(r1 +0)\nr3 &= 8\nr6 += r3\nr2 = *(u64 *)(r6 +0)",
    "multiplied": "r6 *= 8",
    "compared with null": "if r6 == 0 goto +1\nr2 = *(u32 *)(r6 +{task_struct.pid})",
    "stale one compared with null": "r2 = *(u64 *)(r6 +{task_struct.mm})\nif r2 == 0 goto +1\nr3 = *(u64 *)(r2 +0)",
    "compared with another": "r7 = *(u64 *)(r1 +16)\nif r6 == r7 goto +0",
    "spilled": "*(u64 *)(r10 -8) = r6\nr2 = *(u64 *)(r10 -8)\nr3 = *(u32 *)(r2 +{task_struct.pid})",
    "half spilled": "*(u32 *)(r10 -8) = r6",
    "difference": "r7 = *(u64 *)(r1 +16)\nr6 -= r7\nr2 = *(u64 *)(r6 +0)",
}
_CTX_CASES: Final = {
    "ctx number": "r2 = *(u64 *)(r1 +0)",
    "ctx part of a number": "r2 = *(u32 *)(r1 +0)",
    "ctx signed part": "r2 = *(s32 *)(r1 +0)",
    "ctx part of a pointer": "r2 = *(u32 *)(r1 +8)",
    "ctx unaligned": "r2 = *(u64 *)(r1 +4)",
    "ctx middle": "r2 = *(u8 *)(r1 +3)",
    "ctx behind the arguments": "r2 = *(u64 *)(r1 +32)",
    "ctx far behind": "r2 = *(u64 *)(r1 +40)",
    "ctx twelfth": "r2 = *(u64 *)(r1 +88)",
    "ctx thirteenth": "r2 = *(u64 *)(r1 +96)",
    "ctx negative": "r2 = *(u64 *)(r1 -8)",
    "ctx store": "*(u64 *)(r1 +0) = 0",
}


def _trees() -> list[Case]:
    out = [Case(name, text + END) for name, text in _CTX_CASES.items()]
    out += [Case(name, TASK + text + END) for name, text in _TASK_CASES.items()]
    out.append(Case("no GPL", TASK + "r2 = *(u32 *)(r6 +{task_struct.pid})" + END, licence="MIT"))
    out.append(Case("no GPL, no access", TASK + END[1:], licence="MIT"))
    out.append(Case("pointer returned", TASK + "r0 = r6\nexit"))
    null = "r2 = *(u64 *)(r1 +16)\nr3 = *(u32 *)(r2 +{task_struct.pid})" + END
    checked = "r2 = *(u64 *)(r1 +16)\nif r2 == 0 goto +1\nr3 = *(u32 *)(r2 +{task_struct.pid})" + END
    for name, text in (
        ("nullable", "r2 = *(u64 *)(r1 +8)\nr3 = *(u32 *)(r2 +{task_struct.pid})" + END),
        ("not nullable", null),
    ):
        out.append(Case(f"{name} argument", text, target="typedef:btf_trace_sched_pi_setprio"))
    out.append(Case("nullable and checked", checked.replace("+16", "+8"), target="typedef:btf_trace_sched_pi_setprio"))
    out.append(Case("function pointer", "r2 = *(u64 *)(r1 +0)" + END, target="typedef:btf_trace_initcall_start"))
    skb = "r6 = *(u64 *)(r1 +0)\n"
    for name, text in {
        "rcu or null": "r2 = *(u64 *)(r6 +{sk_buff.sk})\nr3 = *(u64 *)(r2 +0)",
        "rcu or null, checked": "r2 = *(u64 *)(r6 +{sk_buff.sk})\nif r2 == 0 goto +1\nr3 = *(u64 *)(r2 +{sock.sk_socket})",
        "union": "r2 = *(u64 *)(r6 +0)",
        "bit field": "r2 = *(u8 *)(r6 +{sk_buff.pkt_type})",
        "bytes of control block": "r2 = *(u64 *)(r6 +{sk_buff.cb})\nr3 = *(u8 *)(r6 +{sk_buff.cb})",
        "data": "r2 = *(u64 *)(r6 +{sk_buff.data})\nr3 = *(u8 *)(r2 +100)",
    }.items():  # fmt: skip
        out.append(Case(f"skb {name}", skb + text + END, target="typedef:btf_trace_kfree_skb"))
    exec_ = "r6 = *(u64 *)(r1 +16)\nr7 = *(u64 *)(r6 +{linux_binprm.file})\nr8 = *(u64 *)(r7 +{file.f_inode})\n"
    out.append(
        Case(
            "trusted file",
            exec_ + "r2 = *(u64 *)(r8 +{inode.i_ino})" + END,
            target="typedef:btf_trace_sched_process_exec",
        )
    )
    return out


def _attach() -> list[Case]:
    out = []
    targets = (
        "typedef:btf_trace_sched_switch", "struct:task_struct", "func:do_exit", "func:bpf_iter_task", "func:bpf_iter_num_new",
        "", "9999999", "500000",
    )  # fmt: skip
    for attach in (0, 5, A.TRACE_RAW_TP, A.TRACE_ITER):
        for target in targets:
            for flags in (0, 16):
                name = f"attach {attach} {target or 'nothing'} {flags}"
                out.append(Case(name, END[1:], target=target, attach=attach, flags=flags))
    for prog_type in (P.XDP, P.KPROBE, P.RAW_TRACEPOINT, P.SYSCALL, P.SOCKET_FILTER):
        for target in ("", "func:do_exit"):
            for flags in (0, 16):
                out.append(
                    Case(f"{prog_type.name} {target or 'nothing'} {flags}", END[1:], prog_type, target, 0, flags)
                )
    return out


def _iterators() -> list[Case]:
    out = []
    for name in ("task", "task_file", "task_vma", "bpf_map", "bpf_map_elem", "tcp"):
        target = f"func:bpf_iter_{name}"
        for flags in (0, 16):
            for off in range(0, 40, 8):
                for tail in (
                    "",
                    "\nr3 = *(u64 *)(r2 +0)",
                    "\nif r2 == 0 goto +2\nr3 = *(u64 *)(r2 +8)\nr4 = *(u64 *)(r3 +0)",
                ):
                    text = f"r2 = *(u64 *)(r1 +{off}){tail}{END}"
                    label = f"iter {name} {flags} {off} {len(tail)}"
                    out.append(Case(label, text, target=target, attach=A.TRACE_ITER, flags=flags))
        for text in ("r0 = 1\nexit", "r0 = 2\nexit", "r0 = *(u64 *)(r1 +0)\nexit", "exit"):
            out.append(Case(f"iter {name} returns {text[:-5]}", text, target=target, attach=A.TRACE_ITER))
    buf = "r6 = *(u64 *)(r1 +{off})\nif r6 == 0 goto +1\n{what}\nr0 = 0\nexit"
    for off in (16, 24):
        for what in ("r2 = *(u64 *)(r6 +7)", "*(u64 *)(r6 +0) = 1", "r2 = *(u64 *)(r6 -8)", "r2 = *(u8 *)(r6 +30000)"):
            text = buf.replace("{off}", str(off)).replace("{what}", what)
            out.append(Case(f"buffer {off} {what}", text, target="func:bpf_iter_bpf_map_elem", attach=A.TRACE_ITER))
    return out


def _struct_ops() -> list[Case]:
    out = []
    texts = (
        "r0 = 0\nexit", "exit", "r0 = *(u64 *)(r1 +0)\nexit", "r2 = *(u64 *)(r1 +8)" + END, "r2 = *(u64 *)(r1 +24)" + END,
        "r2 = *(u64 *)(r1 +0)\nr3 = *(u64 *)(r2 +8)" + END,
        "r2 = *(u64 *)(r1 +0)\n*(u32 *)(r2 +{tcp_sock.snd_cwnd}) = 1" + END,
        "r2 = *(u64 *)(r1 +0)\n*(u64 *)(r2 +{tcp_sock.snd_cwnd_stamp}) = 1" + END,
        "r2 = *(u64 *)(r1 +0)\n*(u32 *)(r2 +0) = 1" + END,
        "r2 = *(u64 *)(r1 +0)\n*(u64 *)(r2 +{tcp_sock.inet_conn.icsk_ca_priv}) = 1" + END,
        "r2 = *(u64 *)(r1 +0)\nif r2 == 0 goto +1\n*(u32 *)(r2 +0) = 1" + END,
    )  # fmt: skip
    for struct, members in (
        ("tcp_congestion_ops", (0, 1, 5, 7, 10, 11, 16, 18)),
        ("bpf_dummy_ops", (0, 1, 2, 3)),
        ("file", (0,)),
    ):
        for index in members:
            for flags in (0, 16):
                for number, text in enumerate(texts):
                    name = f"{struct} {index} {flags} {number}"
                    out.append(Case(name, text, P.STRUCT_OPS, f"struct:{struct}", index, flags))
    out.append(Case("struct_ops without GPL", texts[0], P.STRUCT_OPS, "struct:bpf_dummy_ops", 0, 0, "MIT"))
    out.append(Case("struct_ops of nothing", texts[0], P.STRUCT_OPS, "", 0))
    return out


def _others() -> list[Case]:
    out = []
    buffer = "r6 = *(u64 *)(r1 +0)\n"
    for text in ("r2 = *(u64 *)(r6 +8)", "*(u64 *)(r6 +8) = 1", "r2 = *(u64 *)(r6 -8)", "r6 += 8\nr2 = *(u64 *)(r6 -8)",
                 "r3 = *(u64 *)(r1 +8)\nr3 &= 8\nr6 += r3\nr2 = *(u64 *)(r6 +0)"):  # fmt: skip
        out.append(Case(f"writable {text}", buffer + text + END, P.RAW_TRACEPOINT_WRITABLE, "", 0))
    for text in ("r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 +{sk_buff.data})", "r2 = *(u64 *)(r1 +0)\nr3 = *(u64 *)(r2 +8)",
                 "r2 = *(u64 *)(r1 +8)\n*(u32 *)(r2 +0) = 1"):  # fmt: skip
        out.append(Case(f"netfilter {text}", text + END, P.NETFILTER, "", A.NETFILTER))
    return out


_SOURCES: Final = {
    "trusted": TASK,
    "rcu": TASK + "r6 = *(u64 *)(r6 +{task_struct.real_parent})\n",
    "stale": TASK + "r6 = *(u64 *)(r6 +{task_struct.last_wakee})\n",
    "another structure": TASK + "r6 = *(u64 *)(r6 +{task_struct.mm})\n",
    "memory": TASK + "r6 = *(u64 *)(r6 +{task_struct.set_child_tid})\n",
    "offset": TASK + "r6 += 8\n",
    "structure inside": TASK + "r6 += {task_struct.tasks}\n",
    "before": TASK + "r6 -= 8\n",
    "current": "call 158\nr6 = r0\n",
    "number": "r6 = *(u64 *)(r1 +0)\n",
    "null": "r6 = 0\n",
    "stack": "r6 = r10\nr6 += -8\n",
}


def _helpers() -> list[Case]:
    out = []
    calls = {
        "task_pt_regs": "r1 = r6\ncall 175\nr2 = *(u64 *)(r0 +{pt_regs.ip})",
        "get_task_stack": "r1 = r6\nr2 = r10\nr2 += -64\nr3 = 64\nr4 = 0\ncall 141",
        "skc_to_tcp_sock": "r1 = r6\ncall 137\nr2 = *(u64 *)(r0 +0)",
        "sock_from_file": "r1 = r6\ncall 162\nif r0 == 0 goto +1\nr2 = *(u64 *)(r0 +0)",
        "d_path": "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 8\ncall 147",
        "probe_read into": "r1 = r6\nr2 = 8\nr3 = 0\ncall 4",
        "as a key": "r2 = r6\nr1 = map_fd {map:hash} ll\ncall 1",
        "ringbuf_output from": "r2 = r6\nr1 = map_fd {map:ringbuf} ll\nr3 = 8\nr4 = 0\ncall 130",
        "get_func_ip": "r1 = r6\ncall 173",
        "per_cpu_ptr": "r1 = r6\nr2 = 0\ncall 153",
    }
    for what, call in calls.items():
        for source, setup in _SOURCES.items():
            out.append(Case(f"{what}, {source}", setup + call + END))
    seq = "r6 = *(u64 *)(r1 +0)\nr6 = *(u64 *)(r6 +{bpf_iter_meta.seq})\nr1 = r6\nr2 = r10\nr2 += -8\n"
    seq += "*(u64 *)(r10 -8) = 0\nr3 = 8\n"
    out.append(Case("seq_write", seq + "call 127" + END, target="func:bpf_iter_task", attach=A.TRACE_ITER))
    out.append(Case("seq_write elsewhere", seq + "call 127" + END))
    for target in ("bpf_iter_task", "bpf_iter_tcp"):
        for number in (49, 57):
            text = f"call {number}{END}"
            out.append(Case(f"{target} calls {number}", text, target=f"func:{target}", attach=A.TRACE_ITER))
    for struct, index in (("tcp_congestion_ops", 16), ("tcp_congestion_ops", 17), ("bpf_dummy_ops", 0)):
        for number in (5, 49, 57, 116):
            name = f"{struct} {index} calls {number}"
            out.append(Case(name, f"call {number}{END}", P.STRUCT_OPS, f"struct:{struct}", index))
    return out


def _map_reads() -> list[Case]:
    out = []
    for name in ("array", "hash"):
        for text in (
            "r2 = *(u32 *)(r6 +{bpf_map.max_entries})", "r2 = *(u64 *)(r6 +{bpf_map.ops})\nr3 = *(u64 *)(r2 +0)",
            "r2 = *(u64 *)(r6 -8)", "r2 = *(u64 *)(r6 +20000)", "*(u64 *)(r6 +8) = 0", "*(u64 *)(r6 +8) = r6",
            "r2 = 1\nlock *(u64 *)(r6 +8) += r2", "r6 += 8\nr2 = *(u64 *)(r6 +0)", "r6 += 0\nr2 = *(u64 *)(r6 +8)",
            "r2 = *(u8 *)(r6 +{bpf_map.max_entries})", "r2 = *(u64 *)(r6 +{bpf_map.key_size})",
        ):  # fmt: skip
            out.append(Case(f"{name} {text}", f"r6 = map_fd {{map:{name}}} ll\n{text}{END}", P.KPROBE, "", 0))
    return out


def _kfunc_calls() -> list[Case]:
    out = []
    task = (
        "r1 = r6\ncall kfunc {func:bpf_task_acquire}\nif r0 == 0 goto +2\nr1 = r0\ncall kfunc {func:bpf_task_release}"
    )
    calls = {
        "acquire and release": task,
        "acquire": "r1 = r6\ncall kfunc {func:bpf_task_acquire}",
        "acquire without check": "r1 = r6\ncall kfunc {func:bpf_task_acquire}\nr1 = r0\ncall kfunc {func:bpf_task_release}",
        "release": "r1 = r6\ncall kfunc {func:bpf_task_release}",
        "set_cpu": "r1 = 1\nr2 = r6\ncall kfunc {func:bpf_cpumask_set_cpu}",
        "cpumask_copy": "r1 = r6\nr2 = r6\ncall kfunc {func:bpf_cpumask_copy}",
        "cgroup": "r1 = r6\ncall kfunc {func:bpf_cgroup_acquire}",
        "under_cgroup": "r1 = r6\nr2 = r6\ncall kfunc {func:bpf_task_under_cgroup}",
        "rdonly_cast to nothing": "r1 = r6\nr2 = 0\ncall kfunc {func:bpf_rdonly_cast}\nr2 = *(u32 *)(r0 +0)",
        "cast_to_kern_ctx": "r1 = r6\ncall kfunc {func:bpf_cast_to_kern_ctx}",
        "dynptr_size": "r1 = r6\ncall kfunc {func:bpf_dynptr_size}",
        "sum_elem_count": "r1 = r6\ncall kfunc {func:bpf_map_sum_elem_count}",
        "strnstr": "r1 = r6\nr2 = r6\nr3 = 8\ncall kfunc {func:bpf_strnstr}",
        "vprintk": "r1 = 1\nr2 = r6\nr3 = 0\nr4 = 0\nr5 = 0\ncall kfunc {func:bpf_stream_vprintk_impl}",
        "sock_destroy": "r1 = r6\ncall kfunc {func:bpf_sock_destroy}",
        "copy_from_user_str": "r1 = r6\nr2 = 8\nr3 = 0\nr4 = 0\ncall kfunc {func:bpf_copy_from_user_str}",
        "get_kmem_cache": "r1 = r6\ncall kfunc {func:bpf_get_kmem_cache}",
    }
    sources = dict(_SOURCES) | {"map": "r6 = map_fd {map:array} ll\n", "context": "r6 = r1\n", "nothing": "r7 = 0\n"}
    for what, call in calls.items():
        for source, setup in sources.items():
            out.append(Case(f"kfunc {what}, {source}", setup + call + END))
    skb = "r2 = 0\nr3 = r10\nr3 += -16\ncall kfunc {func:bpf_dynptr_from_skb}\nr1 = r10\nr1 += -16\nr2 = 0\n"
    slices = {
        "read": "r3 = 0\nr4 = 8\ncall kfunc {func:bpf_dynptr_slice}\nif r0 == 0 goto +1\nr2 = *(u64 *)(r0 +0)",
        "beyond": "r3 = 0\nr4 = 8\ncall kfunc {func:bpf_dynptr_slice}\nif r0 == 0 goto +1\nr2 = *(u64 *)(r0 +1)",
        "write": "r3 = 0\nr4 = 8\ncall kfunc {func:bpf_dynptr_slice_rdwr}\nif r0 == 0 goto +1\n*(u64 *)(r0 +0) = 1",
        "write of a read-only one": "r3 = 0\nr4 = 8\ncall kfunc {func:bpf_dynptr_slice}\nif r0 == 0 goto +1\n*(u64 *)(r0 +0) = 1",
        "buffer": "r3 = r10\nr3 += -24\nr4 = 8\ncall kfunc {func:bpf_dynptr_slice}",
        "short buffer": "r3 = r10\nr3 += -24\nr4 = 16\ncall kfunc {func:bpf_dynptr_slice}",
        "unknown size": "r3 = 0\nr4 = r7\ncall kfunc {func:bpf_dynptr_slice}",
        "unchecked": "r3 = 0\nr4 = 8\ncall kfunc {func:bpf_dynptr_slice}\nr2 = *(u64 *)(r0 +0)",
    }
    lookup = (
        "*(u64 *)(r10 -32) = 0\n*(u64 *)(r10 -24) = 0\nr2 = r10\nr2 += -32\nr3 = 12\nr4 = r10\nr4 += -24\nr5 = 12\n"
    )
    conntrack = {
        "lookup": "call kfunc {func:bpf_skb_ct_lookup}\nif r0 == 0 goto +2\nr1 = r0\ncall kfunc {func:bpf_ct_release}",
        "lookup, kept": "call kfunc {func:bpf_skb_ct_lookup}",
        "alloc, released": "call kfunc {func:bpf_skb_ct_alloc}\nif r0 == 0 goto +2\nr1 = r0\ncall kfunc {func:bpf_ct_release}",
        "alloc, insert": "call kfunc {func:bpf_skb_ct_alloc}\nif r0 == 0 goto +5\nr1 = r0\n"
        "call kfunc {func:bpf_ct_insert_entry}\nif r0 == 0 goto +2\nr1 = r0\ncall kfunc {func:bpf_ct_release}",
    }
    for prog_type in (P.SCHED_CLS, P.SOCKET_FILTER):
        for what, text in slices.items():
            size = "r7 = *(u32 *)(r1 +0)\n*(u64 *)(r10 -24) = 0\n"
            out.append(Case(f"{prog_type.name} slice {what}", size + skb + text + END, prog_type, "", 0))
        for what, text in conntrack.items():
            out.append(Case(f"{prog_type.name} conntrack {what}", lookup + text + END, prog_type, "", 0))
    cast = "call kfunc {func:bpf_cast_to_kern_ctx}\nr2 = *(u64 *)(r0 +0)" + END
    for prog_type in (P.SCHED_CLS, P.XDP, P.KPROBE, P.TRACEPOINT, P.CGROUP_DEVICE):
        out.append(Case(f"{prog_type.name} cast_to_kern_ctx", cast, prog_type, "", 0))
    out.append(Case("metadata", "call kfunc {func:bpf_xdp_metadata_rx_hash}" + END, P.XDP, "", 0))
    out.append(Case("kfunc without GPL", cast, P.XDP, "", 0, 0, "MIT"))
    out.append(Case("kfunc that is none", "call kfunc 5" + END, P.XDP, "", 0))
    out.append(Case("kfunc nowhere", "call kfunc 0" + END, P.XDP, "", 0))
    return out


CASES: Final = [
    *_kfunc_calls(),
    *_trees(),
    *_helpers(),
    *_map_reads(),
    *_attach(),
    *_iterators(),
    *_struct_ops(),
    *_others(),
]

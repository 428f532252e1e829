"""Write src/userbpf/include/linux/bpf.h and bpf/bpf_helper_defs.h from the rows of abi and spec.

python tools/gen_headers.py [--check]
"""

from __future__ import annotations

import argparse
import re
from enum import IntEnum
from pathlib import Path

from userbpf.abi import consts, ctx
from userbpf.abi.enums import AttachType, HelperId, MapType, ProgType, XdpAction
from userbpf.abi.layout import Layout
from userbpf.spec.argtypes import MEM_UNINIT, MEM_WRITE, Arg, ArgBase, RetBase
from userbpf.spec.helpers import HELPERS

INCLUDE = Path(__file__).resolve().parent.parent / "src/userbpf/include"
HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n/* Written by tools/gen_headers.py: do not edit. */\n"
# what a returned pointer points to, where it is no BTF type
RETURNS = {
    RetBase.PTR_TO_MAP_VALUE: "void *",
    RetBase.PTR_TO_MEM: "void *",
    RetBase.PTR_TO_MEM_OR_BTF_ID: "void *",
    RetBase.PTR_TO_SOCKET: "struct bpf_sock *",
    RetBase.PTR_TO_SOCK_COMMON: "struct bpf_sock *",
    RetBase.PTR_TO_TCP_SOCK: "struct bpf_tcp_sock *",
}
# arguments that are any number to the verifier and a pointer to the programmer
POINTERS = {
    ("probe_read", 3): "const void *",
    ("probe_read_str", 3): "const void *",
    ("probe_read_user", 3): "const void *",
    ("probe_read_kernel", 3): "const void *",
    ("probe_read_user_str", 3): "const void *",
    ("probe_read_kernel_str", 3): "const void *",
    ("copy_from_user", 3): "const void *",
    ("copy_from_user_task", 3): "const void *",
    ("probe_write_user", 1): "void *",
}
U64_RETURNS = (
    "ktime_",
    "get_current_",
    "get_socket_cookie",
    "jiffies64",
    "get_attach_cookie",
    "get_netns_cookie",
    "ringbuf_query",
)
U32_RETURNS = (
    "get_prandom_u32",
    "get_smp_processor_id",
    "get_hash_recalc",
    "get_cgroup_classid",
    "get_route_realm",
    "get_socket_uid",
)
SCALARS = {
    ArgBase.ANYTHING: "__u64",
    ArgBase.CONST_SIZE: "__u32",
    ArgBase.CONST_SIZE_OR_ZERO: "__u32",
    ArgBase.CONST_ALLOC_SIZE_OR_ZERO: "__u64",
}
# what programs write to these is longer or shorter than the widest integer
EXACT = {
    "get_prandom_u32": "__u32 (*const bpf_get_prandom_u32)(void)",
    "trace_printk": "long (*const bpf_trace_printk)(const char *fmt, __u32 fmt_size, ...)",
    "tail_call": "long (*const bpf_tail_call)(void *ctx, void *prog_array_map, __u32 index)",
    "loop": "long (*const bpf_loop)(__u32 nr_loops, void *callback_fn, void *callback_ctx, __u64 flags)",
    "for_each_map_elem": "long (*const bpf_for_each_map_elem)(void *map, void *callback_fn, void *callback_ctx, __u64 flags)",
    "csum_diff": "__s64 (*const bpf_csum_diff)(void *from, __u32 from_size, void *to, __u32 to_size, __wsum seed)",
    "task_pt_regs": "long (*const bpf_task_pt_regs)(void *task)",
    "kptr_xchg": "void *(*const bpf_kptr_xchg)(void *dst, void *ptr)",
    "redirect": "long (*const bpf_redirect)(__u32 ifindex, __u64 flags)",
    "redirect_map": "long (*const bpf_redirect_map)(void *map, __u64 key, __u64 flags)",
}


ADDRESSES = {
    "flow_keys": "bpf_flow_keys",
    "sk": "bpf_sock",
    "migrating_sk": "bpf_sock",
    "skb_data": "",
    "skb_data_end": "",
    "data": "",
    "data_end": "",
    "optval": "",
    "optval_end": "",
}
STRUCTS: tuple[tuple[str, type[Layout]], ...] = (
    ("bpf_sock", ctx.BpfSock),
    ("bpf_tcp_sock", ctx.BpfTcpSock),
    ("xdp_md", ctx.XdpMd),
    ("__sk_buff", ctx.SkBuff),
    ("sk_msg_md", ctx.SkMsgMd),
    ("sk_reuseport_md", ctx.SkReuseportMd),
    ("bpf_sock_addr", ctx.SockAddr),
    ("bpf_sock_ops", ctx.SockOps),
    ("bpf_cgroup_dev_ctx", ctx.CgroupDevCtx),
    ("bpf_sysctl", ctx.Sysctl),
    ("bpf_sockopt", ctx.Sockopt),
    ("bpf_sk_lookup", ctx.SkLookup),
    ("bpf_pidns_info", ctx.PidnsInfo),
)
# structs with unions or arrays of bytes, which the layouts of abi do not tell apart; tests hold their sizes to the layouts'
BY_HAND = """\
struct bpf_flow_keys {
	__u16 nhoff;
	__u16 thoff;
	__u16 addr_proto;
	__u8 is_frag;
	__u8 is_first_frag;
	__u8 is_encap;
	__u8 ip_proto;
	__be16 n_proto;
	__be16 sport;
	__be16 dport;
	union {
		struct {
			__be32 ipv4_src;
			__be32 ipv4_dst;
		};
		struct {
			__u32 ipv6_src[4];
			__u32 ipv6_dst[4];
		};
	};
	__u32 flags;
	__be32 flow_label;
};

struct bpf_fib_lookup {
	__u8 family;
	__u8 l4_protocol;
	__be16 sport;
	__be16 dport;
	union {
		__u16 tot_len;
		__u16 mtu_result;
	};
	__u32 ifindex;
	union {
		__u8 tos;
		__be32 flowinfo;
		__u32 rt_metric;
	};
	union {
		__be32 ipv4_src;
		__u32 ipv6_src[4];
	};
	union {
		__be32 ipv4_dst;
		__u32 ipv6_dst[4];
	};
	union {
		struct {
			__be16 h_vlan_proto;
			__be16 h_vlan_TCI;
		};
		__u32 tbid;
	};
	union {
		struct {
			__u32 mark;
		};
		struct {
			__u8 smac[6];
			__u8 dmac[6];
		};
	};
};

struct bpf_sock_tuple {
	union {
		struct {
			__be32 saddr;
			__be32 daddr;
			__be16 sport;
			__be16 dport;
		} ipv4;
		struct {
			__be32 saddr[4];
			__be32 daddr[4];
			__be16 sport;
			__be16 dport;
		} ipv6;
	};
};

struct bpf_spin_lock {
	__u32 val;
};

struct bpf_timer {
	__u64 opaque[2];
} __attribute__((aligned(8)));

struct bpf_dynptr {
	__u64 opaque[2];
} __attribute__((aligned(8)));
"""


def enum(name: str, cls: type[IntEnum]) -> str:
    lines = [f"\t{m.c_name} = {int(m)}," for m in cls]  # type: ignore[attr-defined]
    return f"enum {name} {{\n" + "\n".join(lines) + "\n};\n"


def struct(name: str, cls: type[Layout]) -> str:
    """A C struct. Numbered fields are arrays; an 8-byte field that the programmer uses as an address is a pointer."""
    lines: list[str] = []
    arrays: dict[str, int] = {}
    names = {field for field, _, _ in cls.fields}
    for field, _, size in cls.fields:
        stem, _, number = field.rpartition("_")
        if field.startswith("pad_"):
            lines.append("\t__u8 : 8;\n\t__u16 : 16;" if size == 3 else f"\t__u{size * 8} : {size * 8};")
        elif number.isdigit() and f"{stem}_0" in names:
            if stem not in arrays:
                lines.append(f"\t__u{size * 8} {stem}[@{stem}@];")
            arrays[stem] = int(number) + 1
        elif size == 8 and field in ADDRESSES:
            kind = f"struct {ADDRESSES[field]} *" if ADDRESSES[field] else "void *"
            lines.append(f"\t{kind}{field} __attribute__((aligned(8)));")
        elif size not in (1, 2, 4, 8):
            lines.append(f"\t__u8 {field}[{size}];")
        else:
            lines.append(f"\t__u{size * 8} {field};")
    text = f"struct {name} {{\n" + "\n".join(lines) + "\n};\n"
    for stem, n in arrays.items():
        text = text.replace(f"@{stem}@", str(n))
    return text


def bpf_h() -> str:
    defines = "".join(
        f"#define {n} ({v}L)\n" if v < 0 else f"#define {n} {v}{'ULL' if v >> 31 else ''}\n"
        for n, v in vars(consts).items()
        if n.startswith("BPF_")
    )
    helpers = "".join(f"\tBPF_FUNC_{h.name} = {int(h)},\n" for h in HelperId)
    return (
        HEAD
        + "#ifndef USERBPF_LINUX_BPF_H\n#define USERBPF_LINUX_BPF_H\n#include <linux/types.h>\n\n"
        + "\n".join(
            [
                enum("bpf_map_type", MapType),
                enum("bpf_prog_type", ProgType),
                enum("bpf_attach_type", AttachType),
                enum("xdp_action", XdpAction),
                f"enum bpf_func_id {{\n{helpers}}};\n",
                defines,
                *(struct(name, cls) for name, cls in STRUCTS),
                BY_HAND,
            ]
        )
        + "#endif\n"
    )


def reads_only(arg: Arg) -> bool:
    """Whether the helper does not write through the pointer."""
    if arg.base in (ArgBase.PTR_TO_MAP_KEY, ArgBase.PTR_TO_MAP_VALUE, ArgBase.PTR_TO_MEM):
        return not arg.flags & (MEM_UNINIT | MEM_WRITE)
    return False


def prototype(helper: HelperId) -> str:
    name = helper.name
    if name in EXACT:
        return EXACT[name]
    row = HELPERS[helper]
    if row.ret.btf:
        ret = f"struct {row.ret.btf[0]} *"
    elif row.ret.base in RETURNS:
        ret = RETURNS[row.ret.base]
    elif name.startswith(U32_RETURNS):
        ret = "__u32 "
    elif name.startswith(U64_RETURNS):
        ret = "__u64 "
    else:
        ret = "long "
    args = [
        POINTERS.get((name, i)) or SCALARS.get(a.base, "const void *" if reads_only(a) else "void *")
        for i, a in enumerate(row.args, 1)
    ]
    if row.variadic:
        args.append("...")
    text = (
        ", ".join(f"{a}{'' if a.endswith('*') else ' '}a{i}" if a != "..." else a for i, a in enumerate(args, 1))
        or "void"
    )
    return f"{ret}(*const bpf_{name})({text})"


def helper_defs() -> str:
    lines = [f"static {prototype(h)} = (void *){int(h)};" for h in HelperId if int(h) and h in HELPERS]
    body = "\n".join(lines)
    known = sorted(set(re.findall(r"struct (\w+)", body)))
    forward = "".join(f"struct {name};\n" for name in known) + "\n"
    return (
        HEAD
        + "#ifndef USERBPF_BPF_HELPER_DEFS_H\n#define USERBPF_BPF_HELPER_DEFS_H\n#include <linux/types.h>\n\n"
        + forward
        + body
        + "\n#endif\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the generated headers.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail where something differs")
    args = parser.parse_args()
    stale = []
    for name, text in (("linux/bpf.h", bpf_h()), ("bpf/bpf_helper_defs.h", helper_defs())):
        path = INCLUDE / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not args.check:
                path.write_text(text)
    if args.check and stale:
        raise SystemExit(f"out of date: {', '.join(stale)}")


if __name__ == "__main__":
    main()

"""Write src/userbpf/include/linux/bpf.h and bpf/bpf_helper_defs.h from the rows of abi and spec.

python tools/gen_headers.py [--check]
"""

from __future__ import annotations

import argparse
from enum import IntEnum
from pathlib import Path

from userbpf.abi import consts
from userbpf.abi.ctx import SkBuff, XdpMd
from userbpf.abi.enums import AttachType, HelperId, MapType, ProgType, XdpAction
from userbpf.spec.argtypes import MEM_UNINIT, MEM_WRITE, Arg, ArgBase
from userbpf.spec.helpers import HELPERS

INCLUDE = Path(__file__).resolve().parent.parent / "src/userbpf/include"
HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n/* Written by tools/gen_headers.py: do not edit. */\n"
POINTER_RETURNS = {
    "map_lookup_elem",
    "map_lookup_percpu_elem",
    "ringbuf_reserve",
    "sk_storage_get",
    "per_cpu_ptr",
    "this_cpu_ptr",
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
    "redirect": "long (*const bpf_redirect)(__u32 ifindex, __u64 flags)",
    "redirect_map": "long (*const bpf_redirect_map)(void *map, __u64 key, __u64 flags)",
}


def enum(name: str, cls: type[IntEnum]) -> str:
    lines = [f"\t{m.c_name} = {int(m)}," for m in cls]  # type: ignore[attr-defined]
    return f"enum {name} {{\n" + "\n".join(lines) + "\n};\n"


def struct(name: str, cls: type) -> str:
    """A struct of 32- and 64-bit fields; numbered fields are arrays."""
    lines: list[str] = []
    arrays: dict[str, int] = {}
    for field, _, size in cls.fields:  # type: ignore[attr-defined]
        stem, _, number = field.rpartition("_")
        if field.startswith("pad_"):
            lines.append("\t__u8 : 8;\n\t__u16 : 16;" if size == 3 else f"\t__u32 : {size * 8};")
        elif number.isdigit() and stem and f"{stem}_0" in {f for f, _, _ in cls.fields}:  # type: ignore[attr-defined]
            if stem not in arrays:
                lines.append(f"\t__u32 {stem}[@{stem}@];")
            arrays[stem] = int(number) + 1
        else:
            pointer = field in ("flow_keys", "sk")
            kind = "void *" if pointer else f"__u{size * 8} "
            lines.append(f"\t{kind}{field}{' __attribute__((aligned(8)))' if pointer else ''};")
    text = f"struct {name} {{\n" + "\n".join(lines) + "\n};\n"
    for stem, n in arrays.items():
        text = text.replace(f"@{stem}@", str(n))
    return text


def bpf_h() -> str:
    defines = "".join(
        f"#define {n} {v}\n" if v >= 0 else f"#define {n} ({v}L)\n"
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
                struct("xdp_md", XdpMd),
                struct("__sk_buff", SkBuff),
                "struct bpf_spin_lock {\n\t__u32 val;\n};\n",
                "struct bpf_timer {\n\t__u64 opaque[2];\n} __attribute__((aligned(8)));\n",
                "struct bpf_dynptr {\n\t__u64 opaque[2];\n} __attribute__((aligned(8)));\n",
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
    if name in POINTER_RETURNS:
        ret = "void *"
    elif name.startswith(U32_RETURNS):
        ret = "__u32 "
    elif name.startswith(U64_RETURNS):
        ret = "__u64 "
    else:
        ret = "long "
    args = [SCALARS.get(a.base, "const void *" if reads_only(a) else "void *") for a in row.args]
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
    return (
        HEAD
        + "#ifndef USERBPF_BPF_HELPER_DEFS_H\n#define USERBPF_BPF_HELPER_DEFS_H\n#include <linux/types.h>\n\n"
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

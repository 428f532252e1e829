"""Write src/userbpf/abi's generated modules from a kernel's BTF.

    python tools/gen_abi.py [--check] [BTF file]

--check writes nothing and fails where a module differs. What BTF does not have (#define) is in abi/defines.py by hand.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from userbpf.btf import Array, Btf, Composite, Enum, Enum64, Int, Ptr, Struct, Type, Union

ABI = Path(__file__).resolve().parent.parent / "src/userbpf/abi"
HEAD = """\
\"\"\"{title}, generated from the BTF of Linux 6.18 by tools/gen_abi.py: do not edit.\"\"\"

from __future__ import annotations

"""

# class, C enum, the prefix that members lose
ENUMS = [
    ("Cmd", "bpf_cmd", "BPF_"),
    ("MapType", "bpf_map_type", "BPF_MAP_TYPE_"),
    ("ProgType", "bpf_prog_type", "BPF_PROG_TYPE_"),
    ("AttachType", "bpf_attach_type", "BPF_"),
    ("LinkType", "bpf_link_type", "BPF_LINK_TYPE_"),
    ("HelperId", "bpf_func_id", "BPF_FUNC_"),
    ("StatsType", "bpf_stats_type", "BPF_STATS_"),
    ("TaskFdType", "bpf_task_fd_type", "BPF_FD_TYPE_"),
    ("CoreReloKind", "bpf_core_relo_kind", "BPF_CORE_"),
    ("XdpAction", "xdp_action", "XDP_"),
    ("RetCode", "bpf_ret_code", "BPF_"),
    ("AdjRoomMode", "bpf_adj_room_mode", "BPF_ADJ_ROOM_"),
    ("HdrStartOff", "bpf_hdr_start_off", "BPF_HDR_START_"),
    ("LwtEncapMode", "bpf_lwt_encap_mode", "BPF_LWT_ENCAP_"),
    ("IterOrder", "bpf_cgroup_iter_order", "BPF_CGROUP_ITER_"),
]
# anonymous uapi enums are found by a member of theirs
CONST_ENUMS_BY = [
    "BPF_ANY",
    "BPF_F_NO_PREALLOC",
    "BPF_F_KPROBE_MULTI_RETURN",
    "BPF_F_UPROBE_MULTI_RETURN",
    "BPF_F_TIMER_ABS",
    "BPF_RB_NO_WAKEUP",
    "BPF_RB_AVAIL_DATA",
    "BPF_RINGBUF_BUSY_BIT",
    "BPF_LOCAL_STORAGE_GET_F_CREATE",
    "BPF_F_INGRESS",
    "BPF_F_SKIP_FIELD_MASK",
    "BPF_F_SYSCTL_BASE_NAME",
    "BPF_F_RECOMPUTE_CSUM",
    "BPF_F_HDR_FIELD_MASK",
    "BPF_F_PSEUDO_HDR",
    "BPF_F_TUNINFO_IPV6",
    "BPF_F_ZERO_CSUM_TX",
    "BPF_CSUM_LEVEL_QUERY",
    "BPF_F_INDEX_MASK",
    "BPF_F_ADJ_ROOM_FIXED_GSO",
    "BPF_ADJ_ROOM_ENCAP_L2_MASK",
    "BPF_SK_LOOKUP_F_REPLACE",
    "BPF_SKB_TSTAMP_UNSPEC",
    "BPF_FIB_LOOKUP_DIRECT",
    "BPF_FIB_LKUP_RET_SUCCESS",
    "BPF_F_NEIGH",
    "BPF_F_CURRENT_NETNS",
    "BPF_SOCK_OPS_RTO_CB_FLAG",
]
# class, first field or name of the member of union bpf_attr, last field (what CHECK_ATTR compares)
ATTRS = [
    ("MapCreateAttr", "map_type"),
    ("MapElemAttr", "map_fd"),
    ("MapBatchAttr", "batch"),
    ("ProgLoadAttr", "prog_type"),
    ("ObjPinAttr", "pathname"),
    ("ProgAttachAttr", "target_fd"),
    ("ProgTestRunAttr", "test"),
    ("GetIdAttr", "start_id"),
    ("ObjInfoAttr", "info"),
    ("ProgQueryAttr", "query"),
    ("RawTracepointAttr", "raw_tracepoint"),
    ("BtfLoadAttr", "btf"),
    ("TaskFdQueryAttr", "task_fd_query"),
    ("LinkCreateAttr", "link_create"),
    ("LinkUpdateAttr", "link_update"),
    ("LinkDetachAttr", "link_detach"),
    ("EnableStatsAttr", "enable_stats"),
    ("IterCreateAttr", "iter_create"),
    ("ProgBindMapAttr", "prog_bind_map"),
    ("TokenCreateAttr", "token_create"),
    ("ProgStreamReadAttr", "prog_stream_read"),
]
INFOS = [
    ("MapInfo", "bpf_map_info"),
    ("ProgInfo", "bpf_prog_info"),
    ("BtfInfo", "bpf_btf_info"),
    ("LinkInfo", "bpf_link_info"),
    ("FuncInfo", "bpf_func_info"),
    ("LineInfo", "bpf_line_info"),
    ("CoreRelo", "bpf_core_relo"),
]
CTXS = [
    ("XdpMd", "xdp_md"),
    ("SkBuff", "__sk_buff"),
    ("BpfSock", "bpf_sock"),
    ("BpfTcpSock", "bpf_tcp_sock"),
    ("SkMsgMd", "sk_msg_md"),
    ("SkReuseportMd", "sk_reuseport_md"),
    ("SockAddr", "bpf_sock_addr"),
    ("SockOps", "bpf_sock_ops"),
    ("CgroupDevCtx", "bpf_cgroup_dev_ctx"),
    ("Sysctl", "bpf_sysctl"),
    ("Sockopt", "bpf_sockopt"),
    ("SkLookup", "bpf_sk_lookup"),
    ("PerfEventData", "bpf_perf_event_data"),
    ("FlowKeys", "bpf_flow_keys"),
    ("FibLookup", "bpf_fib_lookup"),
    ("Dynptr", "bpf_dynptr"),
    ("SpinLock", "bpf_spin_lock"),
    ("Timer", "bpf_timer"),
    ("PidnsInfo", "bpf_pidns_info"),
    ("PtRegs", "pt_regs"),
]
WIDTH = {1: "8", 2: "16", 4: "32", 8: "64"}


# name, offset, size, annotation, other names with their sizes
Field = tuple[str, int, int, str, list[tuple[str, int]]]


class Layouts:
    """Emits layout classes."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self.hints: set[str] = {"layout", "Layout"}

    def width(self, t: Type) -> str | None:
        if isinstance(t, (Int, Enum)):
            signed = t.signed
            return ("s" if signed else "u") + WIDTH[t.size]
        if isinstance(t, Ptr):
            return "u64"
        return None

    def chars(self, n: int) -> str:
        return f"chars({n})"

    def flatten(self, t: Composite, base: int) -> list[Field]:
        """Each field in order, those of structs within included."""
        out: list[Field] = []
        for m in t.members:
            r = self.btf.resolve(m.type)
            off = base + m.bit_offset // 8
            if m.bits:
                if m.bit_offset % 32 == 0 or not out or out[-1][1] + out[-1][2] <= off:
                    out.append((m.name or f"bits_{off}", off, 4, "u32", []))
                continue
            if isinstance(r, Struct):
                if r.size:
                    out += self.flatten(r, off)
            elif isinstance(r, Union):
                out += self.union(r, off, m.name)
            elif isinstance(r, Array):
                element = self.btf.resolve(r.type)
                hint = self.width(element)
                size = self.btf.size_of(r.type)
                if hint is None or not r.nelems:
                    continue
                if size == 1:
                    out.append((m.name, off, r.nelems, self.chars(r.nelems), []))
                else:
                    out += [(f"{m.name}_{i}", off + i * size, size, hint, []) for i in range(r.nelems)]
            else:
                hint = self.width(r)
                if hint is None:
                    raise SystemExit(f"{t.name}.{m.name}: no layout for {r}")
                out.append((m.name, off, self.btf.size_of(m.type), hint, []))
        return out

    def union(self, u: Union, off: int, name: str) -> list[Field]:
        """Its widest alternative, the others as aliases; bytes where an alternative is a struct with a name of its own."""
        ways: list[list[Field]] = []
        for m in u.members:
            r = self.btf.resolve(m.type)
            if m.bits or (isinstance(r, Composite) and any(n.bits for n in r.members)):
                continue
            if isinstance(r, Composite) and m.name:
                return [(name or f"union_{off}", off, u.size, self.chars(u.size), [])]
            ways.append(self.flatten(replace(u, members=[m]), off))
        best = max(ways, key=lambda way: sum(f[2] for f in way))
        for way in ways:
            for other, at, size, hint, more in way if way is not best else []:
                there = next((f for f in best if f[1] == at), None)
                if there is not None and not (hint + there[3]).count("chars"):
                    there[4].extend((n, size) for n in (other, *(n for n, _ in more)) if n and size <= there[2])
        return best

    def emit(self, cls: str, c_name: str, t: Composite, size: int | None = None) -> str:
        fields = sorted(self.flatten(t, 0), key=lambda f: f[1])
        lines = [f"@layout\nclass {cls}(Layout):", f'    """{c_name}: {t.size} bytes."""\n']
        at = 0
        aliases: list[tuple[str, str]] = []  # name, expression
        for name, off, width, hint, others in fields:
            if off < at:
                continue
            if off > at:
                lines.append(f"    pad_{at}: {self.pad(off - at)}")
            name = name.removeprefix("__")
            lines.append(f"    {name}: {hint} = {'b' + repr('') if hint.startswith('chars') else 0}")
            aliases += [
                (other, name if size == width else f"{name} & {(1 << size * 8) - 1:#x}") for other, size in others
            ]
            at = off + width
        if at < t.size and not cls.endswith("Attr"):
            lines.append(f"    pad_{at}: {self.pad(t.size - at)}")
        for other, value in aliases:
            lines.append(f"\n    @property\n    def {other}(self) -> int:\n        return self.{value}")
        text = "\n".join(lines)
        text = re.sub(r"(pad_\d+): (u\d+)$", r"\1: \2 = 0", text, flags=re.M)
        text = re.sub(r"(pad_\d+): (chars\(\d+\))$", r"\1: \2 = b''", text, flags=re.M)
        self.hints |= set(re.findall(r": ([us]\d+)\b", text))
        sizes = sorted({int(n) for n in re.findall(r"chars\((\d+)\)", text)})
        self.char_sizes = getattr(self, "char_sizes", set()) | set(sizes)
        return re.sub(r"chars\((\d+)\)", r"chars\1", text)

    def pad(self, n: int) -> str:
        return {1: "u8", 2: "u16", 4: "u32", 8: "u64"}.get(n) or self.chars(n)

    def module(self, title: str, classes: list[str]) -> str:
        hints = ", ".join(sorted(self.hints))
        chars = "".join(f'chars{n} = Annotated[bytes, "{n}s"]\n' for n in sorted(getattr(self, "char_sizes", set())))
        head = HEAD.format(title=title)
        if chars:
            head += "from typing import Annotated\n\n"
        return head + f"from userbpf.abi.layout import {hints}\n\n{chars}\n" + "\n\n\n".join(classes) + "\n"


def enums(btf: Btf) -> str:
    out = [HEAD.format(title="Enums"), "from enum import IntEnum\n"]
    for cls, c_name, prefix in ENUMS:
        t = btf.find(c_name, Enum)
        assert t is not None, c_name
        lines = [f'\n\nclass {cls}(IntEnum):\n    """enum {c_name}"""\n']
        lines.append('    @property\n    def c_name(self) -> str:\n        """The name in C."""')
        lines.append(f"        return {cls.upper()}_C_NAMES[self]\n")
        names: dict[int, str] = {}
        for name, value in t.values:
            if name.startswith("__"):
                continue
            lines.append(f"    {name.removeprefix(prefix)} = {value}")
            names.setdefault(value, name)
        lines.append("\n")
        lines.append(
            f"{cls.upper()}_C_NAMES = {{"
            + ", ".join(f'{cls}.{names[v].removeprefix(prefix)}: "{names[v]}"' for v in names)
            + "}"
        )
        out.append("\n".join(lines))
    return "".join(out)


def consts(btf: Btf) -> str:
    lines = [HEAD.format(title="Flags and constants of anonymous enums"), "from typing import Final\n"]
    seen = set()
    for first in CONST_ENUMS_BY:
        t = next((t for t in btf.types if isinstance(t, (Enum, Enum64)) and t.values and t.values[0][0] == first), None)
        if t is None:
            t = next(
                (t for t in btf.types if isinstance(t, (Enum, Enum64)) and any(n == first for n, _ in t.values)), None
            )
        if t is None:
            raise SystemExit(f"no enum with {first}")
        lines.append("")
        for name, value in t.values:
            if name not in seen:
                lines.append(f"{name}: Final = {value}")
                seen.add(name)
    return "\n".join(lines) + "\n"


def attrs(btf: Btf) -> str:
    union = btf.find("bpf_attr", Union)
    assert union is not None
    out = Layouts(btf)
    classes = []
    for cls, first in ATTRS:
        for m in union.members:
            t = btf.resolve(m.type)
            assert isinstance(t, Composite)
            head = next((f[0] for f in out.flatten(t, 0)), "")
            if m.name == first or (not m.name and head == first):
                classes.append(out.emit(cls, f"union bpf_attr, {m.name or 'the struct of ' + first}", t))
                break
        else:
            raise SystemExit(f"no member of union bpf_attr for {cls}")
    stems = "\n".join(
        [
            "# one name a command, where several share a struct",
            "MapLookupElemAttr = MapUpdateElemAttr = MapDeleteElemAttr = MapElemAttr",
            "MapGetNextKeyAttr = MapLookupAndDeleteElemAttr = MapElemAttr",
            "MapFreezeAttr = MapElemAttr",
            "MapLookupBatchAttr = MapLookupAndDeleteBatchAttr = MapUpdateBatchAttr = MapDeleteBatchAttr = MapBatchAttr",
            "ProgGetNextIdAttr = MapGetNextIdAttr = BtfGetNextIdAttr = LinkGetNextIdAttr = GetIdAttr",
            "ProgGetFdByIdAttr = MapGetFdByIdAttr = BtfGetFdByIdAttr = LinkGetFdByIdAttr = GetIdAttr",
            "ObjGetAttr = ObjPinAttr",
            "ObjGetInfoByFdAttr = ObjInfoAttr",
            "ProgDetachAttr = ProgAttachAttr",
            f"ATTR_SIZE = {union.size}  # sizeof(union bpf_attr)",
        ]
    )
    return out.module("The members of union bpf_attr", classes) + "\n\n" + stems + "\n"


def structs(btf: Btf, title: str, rows: list[tuple[str, str]]) -> str:
    out = Layouts(btf)
    classes = []
    for cls, c_name in rows:
        t = btf.find(c_name, Struct)
        if t is None:
            raise SystemExit(f"no struct {c_name}")
        classes.append(out.emit(cls, f"struct {c_name}", t))
    return out.module(title, classes)


def formatted(text: str) -> str:
    """As ruff writes it."""
    for command in (["check", "--quiet", "--select", "I", "--fix", "--exit-zero"], ["format"]):
        argv = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(ABI / "generated.py"), "-"]
        text = subprocess.run(argv, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the generated modules of userbpf.abi.")
    parser.add_argument("btf", nargs="?", default="/sys/kernel/btf/vmlinux", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where something differs")
    args = parser.parse_args()
    btf = Btf.parse(args.btf.read_bytes())
    modules = {
        "enums.py": enums(btf),
        "consts.py": consts(btf),
        "attrs.py": attrs(btf),
        "info.py": structs(btf, "Object infos and records of BTF.ext", INFOS),
        "ctx.py": structs(btf, "Contexts and other structs that programs see", CTXS),
    }
    stale = []
    for name, text in modules.items():
        path = ABI / name
        text = formatted(text)
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not args.check:
                path.write_text(text)
    if args.check and stale:
        raise SystemExit(f"out of date: {', '.join(stale)}")
    print(f"{len(stale)} modules written" if not args.check else "up to date")


if __name__ == "__main__":
    main()

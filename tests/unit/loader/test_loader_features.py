"""What C sources may use of libbpf's conventions: each feature compiled, loaded and run on both transports."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from userbpf import linux
from userbpf.abi.enums import ProgType
from userbpf.errors import BpfError, ObjectError, UserbpfError
from userbpf.isa.opcodes import BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC
from userbpf.kernel import Kernel
from userbpf.loader import Object
from userbpf.loader.compile import compile_source
from userbpf.loader.maps import section_map_name

HEAD = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n#include <bpf/bpf_core_read.h>\n"
TAIL = '\nchar LICENSE[] SEC("license") = "GPL";\n'
PACKET = bytes(64)
SHT_RELA, SHT_REL = 4, 9


@pytest.fixture(params=["user", "linux"])
def transport(request: pytest.FixtureRequest) -> str:
    if request.param == "linux" and linux.available():
        pytest.skip(linux.available())
    name: str = request.param
    return name


@pytest.fixture
def on_linux() -> None:
    reason = linux.available()
    if reason:
        pytest.skip(reason)


class Sources:
    def __init__(self, room: Path) -> None:
        self.room = room

    def open(self, text: str, name: str = "it") -> Object:
        path = self.room / f"{name}.bpf.c"
        path.write_text(HEAD + text + TAIL)
        return Object.open(path)


@pytest.fixture
def source(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def test_global_variables(source: Sources, transport: str) -> None:
    obj = source.open(
        """
        int started = 9; __u64 zeroed; static volatile int hidden = 3; static volatile int more = 4;
        const volatile __u32 limit = 4; const volatile char text[8] = "hi"; int own[4] SEC(".data.own") = {1, 2, 3, 4};
        struct pair { __u8 a; __u32 b; } pair = {1, 2};
        SEC("xdp") int f(struct xdp_md *ctx)
        {
            static int calls = 5;
            calls++; started += limit; zeroed = text[0]; own[2] += 10; pair.b += pair.a; hidden += more;
            return hidden;
        }"""
    )
    data = obj.data
    assert set(data) == {".data", ".bss", ".rodata", ".data.own"}
    assert (data[".data"]["started"], data[".rodata"]["limit"], data[".rodata"]["text"]) == (9, 4, b"hi" + bytes(6))
    assert (data[".data"]["hidden"], data[".data"]["more"]) == (3, 4)
    data[".rodata"]["limit"] = 100
    data[".rodata"]["text"] = b"AB"
    data[".data"]["pair"] = (7, 8)
    with obj.load(transport):
        assert obj.progs["f"].run(PACKET).retval == 7
        assert (data[".data"]["started"], data[".bss"]["zeroed"]) == (109, ord("A"))
        assert data[".data.own"]["own"] == (1, 2, 13, 4)
        assert (data[".data"]["pair"].a, data[".data"]["pair"].b) == (7, 15)
        assert data[".data"]["f.calls" if "f.calls" in data[".data"] else "calls"] == 6
        data[".data"]["started"] = 1
        assert obj.progs["f"].run(PACKET).retval == 11 and data[".data"]["started"] == 101
        with pytest.raises(UserbpfError, match="constant"):
            data[".rodata"]["limit"] = 1
    assert data[".data"]["started"] == 101  # the last values stay readable


def test_variables_are_written_one_by_one(source: Sources, transport: str) -> None:
    """A write of one variable leaves what the program did to its neighbours."""
    obj = source.open(
        '__u64 n, other; SEC("xdp") int f(struct xdp_md *c) { __sync_fetch_and_add(&n, 1); return other; }'
    )
    with obj.load(transport):
        bss = obj.data[".bss"]
        for i in range(3):
            bss["other"] = i
            assert obj.progs["f"].run(PACKET).retval == i
        assert dict(bss) == {"n": 3, "other": 2}
        with pytest.raises(KeyError):
            bss["none"]
        with pytest.raises(KeyError):
            bss["none"] = 1
        with pytest.raises((OverflowError, ValueError)):
            bss["n"] = 1 << 64


def test_functions_of_every_linkage(source: Sources, transport: str) -> None:
    obj = source.open(
        """
        static __noinline int leaf(int x) { return x * 3; }
        __noinline int global_one(int x) { return leaf(x) + 1; }
        static __noinline int both(int x) { return global_one(x) + leaf(x); }
        SEC("xdp") int f(struct xdp_md *ctx) { return both(ctx->data_end - ctx->data); }
        SEC("xdp") int g(struct xdp_md *ctx) { return leaf(2); }
        SEC("tc") int h(struct __sk_buff *skb) { return global_one(5); }"""
    )
    calls = [i for i in obj.plan.progs["f"].insns if i.code == 0x85 and i.src == BPF_PSEUDO_CALL]
    assert len(calls) == 4 and len(obj.plan.progs["f"].func_info) == 4
    with obj.load(transport):
        assert obj.progs["f"].run(PACKET).retval == 64 * 3 + 1 + 64 * 3
        assert (obj.progs["g"].run(PACKET).retval, obj.progs["h"].run(PACKET).retval) == (6, 16)
        assert [obj.progs[n].section for n in "fgh"] == ["xdp", "xdp", "tc"]


def test_callbacks(source: Sources, transport: str) -> None:
    obj = source.open(
        """
        static long add(__u32 i, void *ctx) { *(__u64 *)ctx += i; return i == 20; }
        SEC("xdp") int f(struct xdp_md *c) { __u64 sum = 0; bpf_loop(100, add, &sum, 0); return sum; }"""
    )
    assert any(i.code == 0x18 and i.src == BPF_PSEUDO_FUNC for i in obj.plan.progs["f"].insns)
    with obj.load(transport):
        assert obj.progs["f"].run(PACKET).retval == sum(range(21))


def test_program_arrays_with_initial_content(source: Sources, transport: str) -> None:
    obj = source.open(
        """
        int target(struct xdp_md *ctx);
        struct {
            __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 4); __uint(key_size, 4);
            __array(values, int (void *));
        } jumps SEC(".maps") = { .values = { [2] = (void *)&target } };
        SEC("xdp") int f(struct xdp_md *ctx) { bpf_tail_call(ctx, &jumps, 2); return 1; }
        SEC("xdp") int target(struct xdp_md *ctx) { return 33; }"""
    )
    with obj.load(transport):
        assert obj.progs["f"].run(PACKET).retval == 33
        jumps = obj.maps["jumps"]
        assert list(jumps) == [2]
        jumps[0] = obj.progs["f"]
        assert sorted(jumps) == [0, 2]
        del jumps[2]
        assert obj.progs["f"].run(PACKET).retval == 1


def test_maps_of_maps(source: Sources, on_linux: None) -> None:
    obj = source.open(
        """
        struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64); };
        struct inner one SEC(".maps"), two SEC(".maps");
        struct {
            __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 3); __type(key, __u32);
            __array(values, struct inner);
        } outer SEC(".maps") = { .values = { [0] = &one, [2] = &two } };
        SEC("xdp") int f(struct xdp_md *ctx)
        {
            __u32 k = 2, zero = 0; void *m = bpf_map_lookup_elem(&outer, &k); __u64 *v;
            if (!m) return 1;
            v = bpf_map_lookup_elem(m, &zero);
            if (v) *v += 7;
            return 0;
        }"""
    )
    with obj.load("linux"):
        assert obj.progs["f"].run(PACKET).retval == 0
        assert obj.maps["two"][0] == 7 and obj.maps["one"][0] == 0
        assert list(obj.maps["outer"]) == [0, 2]
        assert obj.maps["outer"][2] == obj.maps["two"].info.id
        obj.maps["outer"][2] = obj.maps["one"]
        obj.progs["f"].run(PACKET)
        assert obj.maps["one"][0] == 7


def test_kconfig_and_weak_externs(source: Sources, transport: str) -> None:
    obj = source.open(
        """
        extern int LINUX_KERNEL_VERSION __kconfig;
        extern _Bool CONFIG_USERBPF_NONE __kconfig __weak;
        extern const int no_such_variable __ksym __weak;
        extern int no_such_function(int) __ksym __weak;
        SEC("xdp") int f(struct xdp_md *ctx)
        {
            if (&no_such_variable) return 1;
            if (no_such_function) return no_such_function(2);
            return CONFIG_USERBPF_NONE ? 2 : LINUX_KERNEL_VERSION >> 16;
        }"""
    )
    with obj.load(transport):
        assert obj.progs["f"].run(PACKET).retval == 6


def test_strong_externs_that_no_kernel_has(source: Sources, transport: str) -> None:
    obj = source.open(
        """
        extern int no_such_function(int) __ksym;
        SEC("xdp") int f(struct xdp_md *ctx) { return no_such_function(2); }"""
    )
    with pytest.raises(ObjectError, match=r"it\.bpf\.c: program f \(section xdp\): extern no_such_function"):
        obj.load(transport)


def test_loops_that_the_kernel_counts(source: Sources, transport: str, on_linux: None) -> None:
    obj = source.open(
        """
        SEC("xdp") int f(struct xdp_md *ctx)
        {
            int i, j, table[8] = {}, n = 0;
            bpf_for(i, 0, 8) {
                table[i] = i;
                bpf_for(j, 0, i) {
                    if (j == 5) break;
                    n += j;
                }
            }
            bpf_repeat(3) n += 100;
            bpf_for(i, 0, 8) n += table[i];
            return n;
        }
        SEC("tc") int g(struct __sk_buff *skb)
        {
            int i, n = 0;
            bpf_for(i, 0, skb->len) n += i;
            bpf_for(i, 0, 1000000) if (i == 700) return n + i;
            return n;
        }"""
    )
    with obj.load(transport):
        assert obj.progs["f"].run(PACKET).retval == 300 + 28 + (0 + 0 + 1 + 3 + 6 + 10 + 10 + 10)
        assert obj.progs["g"].run(PACKET).retval == 64 * 63 // 2 + 700


def test_kernel_functions(source: Sources, on_linux: None) -> None:
    obj = source.open(
        """
        extern int bpf_dynptr_from_xdp(struct xdp_md *, __u64, struct bpf_dynptr *) __ksym;
        extern __u32 bpf_dynptr_size(const struct bpf_dynptr *) __ksym __weak;
        SEC("xdp") int f(struct xdp_md *ctx)
        {
            struct bpf_dynptr p;
            if (bpf_dynptr_from_xdp(ctx, 0, &p)) return 1;
            return bpf_dynptr_size ? bpf_dynptr_size(&p) : 2;
        }"""
    )
    with obj.load("linux"):
        assert obj.progs["f"].run(PACKET).retval == 64


def test_fields_of_the_running_kernel(source: Sources, on_linux: None) -> None:
    obj = source.open(
        """
        struct task_struct___mine { int pid; int no_such_field; } __attribute__((preserve_access_index));
        enum bpf_map_type___mine { BPF_MAP_TYPE_LRU_HASH___mine = 1000 };
        struct no_such_struct { int x; } __attribute__((preserve_access_index));
        SEC("xdp") int f(struct xdp_md *ctx)
        {
            return bpf_core_field_exists(struct task_struct___mine, pid)
                 | bpf_core_field_exists(struct task_struct___mine, no_such_field) << 1
                 | bpf_core_type_exists(struct no_such_struct) << 2
                 | (bpf_core_type_size(struct task_struct___mine) > 1000) << 3
                 | bpf_core_enum_value(enum bpf_map_type___mine, BPF_MAP_TYPE_LRU_HASH___mine) << 4;
        }
        SEC("?xdp") int g(struct xdp_md *ctx) { return 1; }"""
    )
    with obj.load("linux"):
        assert obj.progs["f"].run(PACKET).retval == 1 | 8 | 9 << 4
        assert "g" not in obj.progs and "g" in obj.plan.progs


def test_attach_targets(source: Sources, on_linux: None) -> None:
    obj = source.open(
        """
        SEC("tp_btf/sched_switch") int t(void *ctx) { return 0; }
        SEC("iter/task") int i(void *ctx) { return 0; }
        SEC("tp_btf/no_such_tracepoint") int n(void *ctx) { return 0; }"""
    )
    with obj.load("linux", progs=["t", "i"]):
        assert set(obj.progs) == {"t", "i"}  # loaded, never attached
    again = Object(obj.plan)
    with pytest.raises(ObjectError, match="no typedef btf_trace_no_such_tracepoint"):
        again.load("linux", progs=["n"])
    with Object(obj.plan).load("user", kernel=Kernel(), progs=["t", "i"]) as mine:
        assert set(mine.progs) == {"t", "i"}
    with pytest.raises(ObjectError, match="a kernel's BTF, which is not there"):
        Object(obj.plan).load("user", kernel=Kernel(vmlinux_btf=""), progs=["t"])


def test_programs_without_packets(source: Sources, on_linux: None) -> None:
    obj = source.open('SEC("syscall") int f(__u64 *c) { *c += 5; return 3; }')
    with obj.load("linux"):
        result = obj.progs["f"].run(ctx=struct.pack("<Q", 37))
        assert (result.retval, result.ctx_out) == (3, struct.pack("<Q", 42))
        with pytest.raises(ValueError, match="neither packet nor repeat"):
            obj.progs["f"].run(PACKET)


def test_information_about_functions_and_lines(source: Sources, transport: str) -> None:
    obj = source.open('SEC("xdp") int f(struct xdp_md *c)\n{\n\treturn c->data_end - c->data > 14 ? 2 : 1;\n}')
    with obj.load(transport, log_level=2):
        assert "; return c->data_end - c->data > 14 ? 2 : 1; @ it.bpf.c:6" in obj.progs["f"].log
        assert obj.client is not None
        info = obj.client.prog_info(obj.progs["f"].fd)
        assert info.btf_id and info.nr_func_info == 1 and info.nr_line_info


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('int g(void *); SEC("xdp") int f(void *c) { return g(c); }', r"section xdp: f\+\d+ \(line 4.*call of g"),
        ('extern int e; SEC("xdp") int f(void *c) { return e; }', r"section xdp: f\+\d+.*extern e is not known"),
        (
            'struct { __uint(type, 1); __uint(colour, 3); } m SEC(".maps"); SEC("xdp") int f(void *c) { return 0; }',
            "map m: unknown property colour",
        ),
        ('struct { int type; } m SEC(".maps"); SEC("xdp") int f(void *c) { return 0; }', "map m: type is not declared"),
        ("this is no C", r"it\.bpf\.c:4:1: error"),
    ],
)
def test_errors_name_the_place(source: Sources, text: str, reason: str) -> None:
    with pytest.raises(ObjectError, match=reason) as e:
        source.open(text)
    assert "it.bpf.c" in str(e.value)


def test_sections_of_no_convention(source: Sources, transport: str, tmp_path: Path) -> None:
    text = 'SEC("nonsense") int f(void *c) { return 0; } SEC("xdp") int g(void *c) { return 2; }'
    obj = source.open(text)
    assert obj.plan.progs["f"].type_name == "UNSPEC"
    with obj.load(transport, progs=["g"]):
        assert list(obj.progs) == ["g"]
        with pytest.raises(ObjectError, match=r"it\.bpf\.c: program f \(section nonsense\): no program type"):
            obj.load_prog("f")
    with Object.open(tmp_path / "it.bpf.c", prog_types={"nonsense": ProgType.SCHED_CLS}).load(transport) as obj:
        assert obj.progs["f"].prog_type == ProgType.SCHED_CLS


def test_refusals_carry_the_log(source: Sources, transport: str) -> None:
    obj = source.open('SEC("xdp") int loops(struct xdp_md *c) { return *(int *)0; }')
    with pytest.raises(BpfError, match=r"program loops \(section xdp\)") as e:
        obj.load(transport)
    assert e.value.errno in (13, 22) and "processed" in e.value.log


def test_the_reason_is_told_without_statistics(source: Sources, transport: str) -> None:
    """Linux's message about tail calls through no array of programs has no line end."""
    obj = source.open(
        old_maps(progs="2, 4, 4, 3, 0")
        + 'SEC("xdp") int f(struct xdp_md *c) { bpf_tail_call(c, &progs, 1); return 2; }'
    )
    with pytest.raises(BpfError) as caught, obj.load(transport, progs=()):
        obj.load_prog("f", 5)
    assert str(caught.value.strerror).endswith("): expected prog array map for tail call")


def test_maps_that_a_kernel_refuses(source: Sources, transport: str) -> None:
    obj = source.open(
        "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 0); __type(key, int); __type(value, int); }"
        ' m SEC(".maps");'
        'SEC("xdp") int f(void *c) { return 0; }'
    )
    with pytest.raises(BpfError, match=r"map m \(BPF_MAP_TYPE_HASH\)") as e:
        obj.load(transport)
    assert e.value.errno == 22


def test_an_object_is_loaded_once(source: Sources, transport: str) -> None:
    obj = source.open('SEC("xdp") int f(void *c) { return 0; }').load(transport)
    with obj, pytest.raises(UserbpfError, match="loaded already"):
        obj.load(transport)


def test_printk_of_any_number_of_arguments(source: Sources, on_linux: None) -> None:
    obj = source.open(
        """SEC("xdp") int f(struct xdp_md *c)
        { bpf_printk("none"); bpf_printk("%d", 1); bpf_printk("%d %d %d %d", 1, 2, 3, 4); return 2; }"""
    )
    obj.load("linux").close()  # the verifier reads the formats


def test_standard_headers(source: Sources) -> None:
    obj = source.open(
        """#include <stdint.h>
        #include <stdbool.h>
        #include <stddef.h>
        uint64_t n; bool yes = true; SEC("xdp") int f(void *c) { return sizeof(size_t); }"""
    )
    assert dict(obj.data[".data"]) == {"yes": True}


def test_every_header_compiles(source: Sources) -> None:
    names = ("types", "if_ether", "in", "in6", "ip", "ipv6", "tcp", "udp", "icmp", "if_vlan", "pkt_cls")
    source.open(
        "".join(f"#include <linux/{n}.h>\n" for n in names)
        + "#include <bpf/bpf_endian.h>\n"
        + """_Static_assert(sizeof(struct iphdr) == 20 && sizeof(struct ipv6hdr) == 40 && sizeof(struct tcphdr) == 20, "");
        _Static_assert(sizeof(struct ethhdr) == 14 && sizeof(struct udphdr) == 8 && sizeof(struct icmphdr) == 8, "");
        _Static_assert(bpf_htons(0x1234) == 0x3412, "");
        SEC("xdp") int f(void *c) { return 0; }"""
    )


def test_headers_have_the_layouts_of_abi(source: Sources) -> None:
    from userbpf.abi import ctx

    pairs: list[tuple[str, Any]] = [
        ("bpf_sock", ctx.BpfSock),
        ("bpf_tcp_sock", ctx.BpfTcpSock),
        ("xdp_md", ctx.XdpMd),
        ("__sk_buff", ctx.SkBuff),
        ("sk_msg_md", ctx.SkMsgMd),
        ("sk_reuseport_md", ctx.SkReuseportMd),
        ("bpf_sock_addr", ctx.SockAddr),
        ("bpf_sock_ops", ctx.SockOps),
        ("bpf_sockopt", ctx.Sockopt),
        ("bpf_sk_lookup", ctx.SkLookup),
        ("bpf_flow_keys", ctx.FlowKeys),
        ("bpf_fib_lookup", ctx.FibLookup),
    ]
    checks = []
    for name, cls in pairs:
        checks.append(f'_Static_assert(sizeof(struct {name}) == {cls.SIZE}, "{name}");')
        for field, off, _ in cls.fields:
            stem, _, number = field.rpartition("_")
            if field.startswith("pad_"):
                continue
            member = (
                f"{stem}[{number}]" if number.isdigit() and any(f == f"{stem}_0" for f, *_ in cls.fields) else field
            )
            checks.append(f'_Static_assert(offsetof(struct {name}, {member}) == {off}, "{name}.{field}");')
    source.open("\n".join(checks) + '\nSEC("xdp") int f(void *c) { return 0; }')


def test_the_cache_sees_changed_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERBPF_CACHE", str(tmp_path / "cache"))
    room = tmp_path / "src" / "deep er"
    room.mkdir(parents=True)
    header = room / "n.h"
    header.write_text("#define N 1\n")
    path = tmp_path / "src" / "it.bpf.c"
    path.write_text(HEAD + '#include "deep er/n.h"\nSEC("xdp") int f(void *c) { return N; }' + TAIL)
    first = compile_source(path)
    assert compile_source(path) == first
    with monkeypatch.context() as m:
        m.setattr("userbpf.loader.compile.subprocess.run", None)  # from the cache: nothing is run
        assert compile_source(path) == first
    header.write_text("#define N 2\n")
    assert compile_source(path) != first
    for kept in (tmp_path / "cache" / "objects").glob("*.o"):
        kept.write_bytes(b"damaged")
    assert compile_source(path)[:4] == b"\x7fELF"


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from userbpf.loader import compile as module

    monkeypatch.delenv("CLANG", raising=False)
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    module.compiler.cache_clear()
    try:
        with pytest.raises(ObjectError, match="no compiler"):
            module.compiler()
    finally:
        module.compiler.cache_clear()


@pytest.mark.parametrize(
    ("section", "name"),
    [
        (".bss", "xdp_sync.bss"),
        (".rodata", "xdp_sync.rodata"),
        (".kconfig", "xdp_syn.kconfig"),
        (".data.custom", ".data.custom"),
        (".rodata.str1.1", ".rodata.str1.1"),
    ],
)
def test_names_of_section_maps(section: str, name: str) -> None:
    assert section_map_name("xdp_synchronised", section) == name


def old_maps(**definitions: str) -> str:
    text = "struct old { unsigned type, key, value, entries, flags, inner, numa; };"
    place = '__attribute__((section("maps"), used))'
    return text + "".join(f"struct old {name} {place} = {{{words}}};" for name, words in definitions.items())


def test_maps_from_before_btf(source: Sources, transport: str) -> None:
    obj = source.open(
        old_maps(counts="1, 4, 8, 3, 0", names="2, 4, 16, 5, 0")
        + 'SEC("xdp") int f(struct xdp_md *c) { int k = 2; long *v = bpf_map_lookup_elem(&names, &k);'
        " v = bpf_map_lookup_elem(&counts, &k); if (v) *v += 7; return 2; }"
    )
    with obj.load(transport):
        shapes = {m.name: (int(m.map_type), m.value_size, m.max_entries) for m in obj.maps.values()}
        assert shapes == {"counts": (1, 8, 3), "names": (2, 16, 5)}
    with pytest.raises(ObjectError, match="its inner map is not defined"):
        source.open(old_maps(outer="12, 4, 4, 3, 0, 9") + 'SEC("xdp") int f(void *c) { return 2; }')
    with pytest.raises(ObjectError, match="section maps: definitions of 8 bytes"):
        source.open(
            'struct { int a, b; } m __attribute__((section("maps"), used)) = {1};SEC("xdp") int f(void *c) { return 2; }'
        )


def with_addends(data: bytes) -> bytes:
    """The object with its relocations as the first compilers for BPF wrote them: in RELA sections, of no kind."""
    out = bytearray(data)
    start, size, count = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HH", data, 58)
    for header in range(start, start + size * count, size):
        kind, (off, length) = (
            struct.unpack_from("<I", data, header + 4)[0],
            struct.unpack_from("<QQ", data, header + 24),
        )
        if kind != SHT_REL:
            continue
        entries = [(place, info >> 32 << 32, 0) for place, info in struct.iter_unpack("<QQ", data[off : off + length])]
        struct.pack_into("<I", out, header + 4, SHT_RELA)
        struct.pack_into("<QQ", out, header + 24, len(out), 24 * len(entries))
        struct.pack_into("<Q", out, header + 56, 24)
        out += b"".join(struct.pack("<QQq", *entry) for entry in entries)
    return bytes(out)


def test_relocations_with_addends(source: Sources, transport: str) -> None:
    source.open(
        old_maps(counts="2, 4, 8, 3, 0")
        + 'SEC("xdp") int f(struct xdp_md *c) { int k = 2; long *v = bpf_map_lookup_elem(&counts, &k);'
        " return v ? *v + 2 : 0; }"
    )
    path = source.room / "old.o"
    path.write_bytes(with_addends(compile_source(source.room / "it.bpf.c")))
    with Object.open(path).load(transport) as obj:
        assert obj.progs["f"].run(PACKET).retval == 2


def test_sections_that_belong_to_the_programs(source: Sources, transport: str) -> None:
    obj = source.open(
        """
        struct bpf_spin_lock_pair { struct bpf_spin_lock lock; int count; };
        __attribute__((section(".bss.mine"), visibility("hidden"))) struct bpf_spin_lock_pair mine;
        __attribute__((section(".bss.ours"))) int ours;
        SEC("tc") int f(struct __sk_buff *c)
        {
            bpf_spin_lock(&mine.lock);
            mine.count++;
            bpf_spin_unlock(&mine.lock);
            return ++ours;
        }"""
    )
    with obj.load(transport):
        assert obj.progs["f"].run(PACKET).retval == 1
        assert obj.data[".bss.ours"]["ours"] == 1
        with pytest.raises(UserbpfError, match=r"all of section \.bss\.mine is private"):
            print(obj.data[".bss.mine"]["mine"])


def test_ring_buffers_have_the_next_size_that_fits(source: Sources, transport: str) -> None:
    obj = source.open(
        """
        struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 5000); } ring SEC(".maps");
        SEC("xdp") int f(struct xdp_md *ctx) { return bpf_ringbuf_query(&ring, 1); }"""
    )
    with obj.load(transport):
        assert obj.progs["f"].run(PACKET).retval == 8192


def test_hidden_functions_are_checked_where_they_are_called(source: Sources, transport: str) -> None:
    """A global function would have to be right for any argument."""
    obj = source.open(
        """
        char table[16];
        __attribute__((noinline, visibility("hidden"))) int at(int index) { return table[index]; }
        SEC("xdp") int f(struct xdp_md *ctx) { return at(bpf_get_prandom_u32() & 15) + 3; }"""
    )
    with obj.load(transport):
        assert obj.progs["f"].run(PACKET).retval == 3


def test_parameters_without_names(source: Sources, transport: str) -> None:
    """Compilers leave out the names of parameters where a function has no body in C; Linux wants them."""
    obj = source.open(
        """
        __attribute__((naked, noinline)) static int three(void *first, int second)
        {
            asm volatile("r0 = 3; exit;");
        }
        SEC("xdp") int f(struct xdp_md *ctx) { return three(ctx, 2); }"""
    )
    with obj.load(transport):
        assert obj.progs["f"].run(PACKET).retval == 3


def test_map_types_that_the_kernel_refuses_are_left_out(source: Sources, transport: str) -> None:
    """A key's type without a value's is EINVAL for the kernel; libbpf then makes the map without types, and so do we."""
    obj = source.open(
        """
        struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, __u32);
                 __uint(value_size, 24); } heap SEC(".maps");
        SEC("xdp") int f(struct xdp_md *ctx)
        {
            __u32 zero = 0; __u64 *value = bpf_map_lookup_elem(&heap, &zero);
            return value ? ++*value : 100;
        }"""
    )
    assert (obj.plan.maps["heap"].btf_key_type_id > 0, obj.plan.maps["heap"].btf_value_type_id) == (True, 0)
    with obj.load(transport):
        info = obj.maps["heap"].info
        assert (info.value_size, info.btf_key_type_id, info.btf_value_type_id) == (24, 0, 0)
        assert obj.progs["f"].run(PACKET).retval == 1


def test_a_map_refused_with_and_without_types(source: Sources, transport: str) -> None:
    obj = source.open(
        """
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 0); __type(key, __u32); __type(value, __u32);
        } none SEC(".maps");
        SEC("xdp") int f(struct xdp_md *ctx) { return bpf_map_lookup_elem(&none, &(__u32){0}) ? 1 : 2; }"""
    )
    with pytest.raises(BpfError, match=r"map none \(BPF_MAP_TYPE_HASH\): Invalid argument"):
        obj.load(transport)

"""A machine whose kernel tells nothing of its types: core kernel functions work, all else says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from userbpf import Object
from userbpf.btf import Func
from userbpf.btf.builder import Builder
from userbpf.cli.app import app
from userbpf.errors import BtfError, ObjectError
from userbpf.kernel import Kernel, machine
from userbpf.loader import core
from userbpf.spec.kernel_types import core_types
from userbpf.spec.kfuncs import KFUNCS

HEAD = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char _license[] SEC("license") = "GPL";
"""
COUNT = (
    HEAD
    + """
struct bpf_iter_num;
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
SEC("xdp") int count(struct xdp_md *ctx)
{
    __u64 it;
    int sum = 0, *v;
    bpf_rcu_read_lock();
    bpf_iter_num_new((void *)&it, 1, 5);
    while ((v = bpf_iter_num_next((void *)&it)))
        sum += *v;
    bpf_iter_num_destroy((void *)&it);
    bpf_rcu_read_unlock();
    return sum;
}
"""
)
BYTES = (
    HEAD
    + """
extern int bpf_dynptr_from_xdp(struct xdp_md *xdp, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u32 offset, void *buffer, __u32 buffer__szk) __ksym;
SEC("xdp") int fourth(struct xdp_md *ctx)
{
    struct bpf_dynptr p;
    char buf[1], *at;
    bpf_dynptr_from_xdp(ctx, 0, &p);
    at = bpf_dynptr_slice(&p, 3, buf, 1);
    return at ? *at : 0;
}
"""
)
TRACED = HEAD + 'SEC("tp_btf/sched_switch") int traced(void *ctx) { return 0; }\n'
ABSENT = HEAD + 'extern int bpf_no_such(void) __ksym;\nSEC("xdp") int absent(void *ctx) { return bpf_no_such(); }\n'


@pytest.fixture(autouse=True)
def hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No types where kernels have them."""
    monkeypatch.delenv("USERBPF_VMLINUX_BTF", raising=False)
    nowhere = str(tmp_path / "vmlinux")
    monkeypatch.setattr(machine, "VMLINUX_BTF", nowhere)
    monkeypatch.setattr(core, "TARGET_BTF", nowhere)


def opened(tmp_path: Path, text: str) -> Object:
    path = tmp_path / "x.bpf.c"
    path.write_text(text)
    return Object.open(path)


def test_every_row_has_a_number() -> None:
    types = Kernel().vmlinux()
    assert types is core_types()
    for name, row in KFUNCS.items():
        func = types.find(name, Func)
        assert func is not None
        proto = types.by_id(func.type)
        assert [p.name for p in proto.params] == [p.name for p in row.params]  # type: ignore[attr-defined]


@pytest.mark.parametrize("interpret", [False, True], ids=["compiled", "interpreted"])
def test_core_functions_run(tmp_path: Path, interpret: bool) -> None:
    with opened(tmp_path, COUNT).load(kernel=Kernel(interpret_only=interpret)) as obj:
        assert obj.progs["count"].run(bytes(64)).retval == 1 + 2 + 3 + 4
    with opened(tmp_path, BYTES).load(kernel=Kernel(interpret_only=interpret)) as obj:
        assert obj.progs["fourth"].run(bytes(range(64))).retval == 3


@pytest.mark.parametrize(("text", "what"), [(TRACED, "btf_trace_sched_switch"), (ABSENT, "bpf_no_such")])
def test_what_is_missing_is_said(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ObjectError, match=what) as e:
        opened(tmp_path, text).load(kernel=Kernel())
    assert "name a BTF file with --btf or USERBPF_VMLINUX_BTF" in str(e.value)


def test_no_types_at_all(tmp_path: Path) -> None:
    with pytest.raises(ObjectError, match="name a BTF file with --btf"):
        opened(tmp_path, COUNT).load(kernel=Kernel(vmlinux_btf=""))


def traced_types(tmp_path: Path) -> Path:
    """A file that has the tracepoint."""
    b = Builder()
    pointer = b.pointer()
    task = b.pointer(b.struct("task_struct", [("pid", b.integer("int", 4, True))]))
    b.typedef("btf_trace_sched_switch", b.pointer(b.proto(0, [("", pointer), ("", task)])))
    path = tmp_path / "some.btf"
    path.write_bytes(b.encode())
    return path


def test_a_file_that_is_named_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = traced_types(tmp_path)
    opened(tmp_path, TRACED).load(kernel=Kernel(vmlinux_btf=path)).close()
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "x.bpf.c"), "--btf", str(path), "--json"])
    assert done.exit_code == 0 and '"accepted"' in done.output, done.output
    monkeypatch.setenv("USERBPF_VMLINUX_BTF", str(path))
    opened(tmp_path, TRACED).load(kernel=Kernel()).close()


def test_the_option_ends_with_the_command(tmp_path: Path) -> None:
    path = traced_types(tmp_path)
    assert CliRunner().invoke(app, [f"--btf={path}", "support"]).exit_code == 0
    assert Kernel().vmlinux() is core_types()


def test_a_file_that_is_no_btf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text"
    path.write_text("hello")
    with pytest.raises(BtfError, match="no raw BTF"):
        Kernel(vmlinux_btf=path)
    with pytest.raises(BtfError, match="No such file"):
        Kernel(vmlinux_btf=tmp_path / "none")
    assert CliRunner().invoke(app, ["--btf", str(path), "support"]).exit_code == 1
    assert CliRunner().invoke(app, ["--btf", str(tmp_path / "none"), "support"]).exit_code == 2
    monkeypatch.setenv("USERBPF_VMLINUX_BTF", str(path))
    with pytest.raises(BtfError, match="no raw BTF"):
        Kernel().vmlinux()


def test_fields_need_the_kernels_own_types(tmp_path: Path) -> None:
    """What cannot be known is refused in Linux's words, not guessed."""
    text = (
        HEAD
        + """
    struct task_struct;
    extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
    extern void bpf_task_release(struct task_struct *p) __ksym;
    SEC("tc") int field(void *ctx)
    {
        struct task_struct *t = bpf_task_from_pid(1);
        int n;
        if (!t)
            return 0;
        n = FIELD;
        bpf_task_release(t);
        return n;
    }
    """
    )
    opened(tmp_path, text.replace("FIELD", "1")).load(kernel=Kernel()).close()
    with pytest.raises(OSError) as e:
        opened(tmp_path, text.replace("FIELD", "*(int *)t")).load(kernel=Kernel())
    assert "access beyond struct task_struct at off 0 size 4" in str(getattr(e.value, "log", ""))

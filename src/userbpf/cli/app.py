"""The `userbpf` command: its subcommands, imported when they are called, and one way to end in an error."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from typing import Any, Final

import click

from userbpf.btf.lazy import read_lazy
from userbpf.cli.show import Out
from userbpf.errors import BpfError, UserbpfError

# command -> (module, name, what --help says of it)
COMMANDS: Final = {
    "run": ("userbpf.cli.run", "run", "Run a program over a packet capture."),
    "verify": ("userbpf.cli.verify", "verify", "Say whether programs load, and if not, why and what mends it."),
    "disasm": ("userbpf.cli.disasm", "disasm", "Show the instructions of an object or C source."),
    "prog": ("userbpf.cli.prog", "prog", "Load, pin, show, dump and run programs."),
    "map": ("userbpf.cli.map", "map_", "Create, show, dump and change maps."),
    "btf": ("userbpf.cli.btf", "btf", "Show and dump types."),
    "support": ("userbpf.cli.support", "support", "What of Linux's bpf is there, and what is not."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # --json and --btf are taken anywhere, as bpftool takes the first one first and people put it last
        first: list[str] = []
        rest: list[str] = []
        left = iter(args)
        for arg in left:
            if arg in ("--json", "-j"):
                first = [*first, arg] if arg not in first else first
            elif arg == "--btf":
                first += [arg, *itertools.islice(left, 1)]
            elif arg.startswith("--btf="):
                first.append(arg)
            else:
                rest.append(arg)
        return super().parse_args(ctx, first + rest)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BpfError as e:
            out: Out = ctx.obj or Out(False)
            out.fail(e.strerror or str(e), errno=e.errno, log=e.log)
            if e.log and not out.as_json:
                out.errors.print(e.log.rstrip(), markup=False, soft_wrap=True)
        except (UserbpfError, OSError, ValueError) as e:
            (ctx.obj or Out(False)).fail(str(e))
        sys.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-j", "--json", "as_json", is_flag=True, help="Print JSON (may stand anywhere).")
@click.option(
    "--btf",
    "btf_path",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="A raw BTF file with the kernel's types, in place of /sys/kernel/btf/vmlinux.",
)
@click.version_option(None, "-V", "--version", package_name="userbpf", prog_name="userbpf")
@click.pass_context
def app(ctx: click.Context, as_json: bool, btf_path: str | None) -> None:
    """Linux's bpf(2) inside an ordinary process: verify, run and look at eBPF programs without root."""
    ctx.obj = Out(as_json)
    if btf_path is not None:
        read_lazy(btf_path)  # what is none shows at once
        _set_for(ctx, "USERBPF_VMLINUX_BTF", btf_path)


def _set_for(ctx: click.Context, name: str, value: str) -> None:
    """An environment variable for as long as the command runs: objects and kernels look for the types there."""
    before = os.environ.get(name)
    os.environ[name] = value

    def restore() -> None:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before

    ctx.call_on_close(restore)

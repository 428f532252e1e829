"""The command line: nouns and verbs as in bpftool, `run` and `verify` on top."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `userbpf` command."""
    from userbpf.cli.app import app

    app()

"""Write docs/support.md from the rows of userbpf.spec.   python tools/gen_docs.py [--check]"""

from __future__ import annotations

import sys
from pathlib import Path

from userbpf.cli.support import markdown

TARGET = Path(__file__).resolve().parent.parent / "docs/support.md"


def main() -> None:
    text = markdown()
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != text:
            raise SystemExit("docs/support.md is out of date: run python tools/gen_docs.py")
        return
    TARGET.write_text(text)


if __name__ == "__main__":
    main()

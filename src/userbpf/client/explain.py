"""Why a kernel of ours refused a program: explanations and recordings, which Linux itself does not give."""

from __future__ import annotations

from userbpf.syscall.explain import Explanation, Watched, watching

__all__ = ["Explanation", "Watched", "watching"]

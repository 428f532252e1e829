"""Object files: to blueprints, and through the client into a kernel."""

from userbpf.loader.object import Object, Variables

__all__ = ["Object", "Variables"]

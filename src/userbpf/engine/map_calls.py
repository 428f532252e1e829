"""Helpers on maps: the map's own algorithm where the verifier knows the map, else through the map's descriptor.

`MAP_HELPERS` are the bodies for `Env.helpers`. A row names the operation that `Map.ops` is asked for; its answer takes the
registers behind the map, since the map itself is in its constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from userbpf.abi.enums import HelperId
from userbpf.engine.env import Binding, Env, HelperImpl
from userbpf.maps import ringbuf
from userbpf.native import NativeFn, call, load64, native
from userbpf.native.rt import (
    DESC_DELETE,
    DESC_LOOKUP,
    DESC_LOOKUP_PERCPU,
    DESC_PEEK,
    DESC_POP,
    DESC_PUSH,
    DESC_UPDATE,
)
from userbpf.verifier.api import Fact


@native
def lookup(rt: int, desc: int, key: int) -> int:
    """Value address or 0."""
    return call(load64(desc + DESC_LOOKUP), rt, desc, key)


@native
def update(rt: int, desc: int, key: int, value: int, flags: int) -> int:
    """0 or -errno."""
    return call(load64(desc + DESC_UPDATE), rt, desc, key, value, flags)


@native
def delete(rt: int, desc: int, key: int) -> int:
    """0 or -errno."""
    return call(load64(desc + DESC_DELETE), rt, desc, key)


@native
def lookup_percpu(rt: int, desc: int, key: int, cpu: int) -> int:
    """Value address of one CPU, or 0."""
    return call(load64(desc + DESC_LOOKUP_PERCPU), rt, desc, key, cpu)


@native
def push(rt: int, desc: int, value: int, flags: int) -> int:
    """0 or -errno."""
    return call(load64(desc + DESC_PUSH), rt, desc, value, flags)


@native
def pop(rt: int, desc: int, value: int) -> int:
    """0 or -errno."""
    return call(load64(desc + DESC_POP), rt, desc, value)


@native
def peek(rt: int, desc: int, value: int) -> int:
    """0 or -errno."""
    return call(load64(desc + DESC_PEEK), rt, desc, value)


def by_op(op: str, args: tuple[int, ...], inline: bool) -> Callable[[Env, Fact], Binding | None]:
    """A `bind` that asks the call's map for an operation; `args` are the registers it takes."""

    def bind(env: Env, fact: Fact) -> Binding | None:
        found = None if fact.map is None else env.maps[fact.map].ops(op)
        return None if found is None else Binding(found[0], found[1], args, inline)

    return bind


def _impl(fn: NativeFn[Any], op: str, args: tuple[int, ...], inline: bool = False) -> HelperImpl:
    return HelperImpl(fn=fn, bind=by_op(op, args, inline))


MAP_HELPERS: Final[dict[int, HelperImpl]] = {
    HelperId.map_lookup_elem: _impl(lookup, "lookup", (2,), inline=True),
    HelperId.map_update_elem: _impl(update, "update", (2, 3, 4)),
    HelperId.map_delete_elem: _impl(delete, "delete", (2,)),
    HelperId.map_lookup_percpu_elem: _impl(lookup_percpu, "lookup_percpu", (2, 3)),
    HelperId.map_push_elem: _impl(push, "push", (2, 3)),
    HelperId.map_pop_elem: _impl(pop, "pop", (2,)),
    HelperId.map_peek_elem: _impl(peek, "peek", (2,)),
    HelperId.ringbuf_reserve: _impl(ringbuf.any_reserve, "reserve", (2, 3)),
    HelperId.ringbuf_output: _impl(ringbuf.any_output, "output", (2, 3, 4)),
    HelperId.ringbuf_query: _impl(ringbuf.any_query, "query", (2,)),
    HelperId.ringbuf_submit: HelperImpl(fn=ringbuf.submit),
    HelperId.ringbuf_discard: HelperImpl(fn=ringbuf.discard),
}

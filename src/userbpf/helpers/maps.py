"""Helpers that take a map: through its descriptor, or, where the verifier knows the map, through its own algorithm.

`BINDS` says which operation of the map a helper is and which registers it takes; the JIT asks it for every call and inlines
the answer.
"""

from __future__ import annotations

import errno
from typing import Final

from userbpf.abi.enums import HelperId
from userbpf.engine.env import Bind, Binding, Env
from userbpf.helpers.base import native_body
from userbpf.maps.cgroup import local_value
from userbpf.maps.ringbuf import any_output, any_query, any_reserve, discard, submit
from userbpf.native import call, load64, native
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

EOPNOTSUPP = errno.EOPNOTSUPP
E2BIG = errno.E2BIG
ENOENT = errno.ENOENT
EINVAL = errno.EINVAL

# helper -> (operation of the map, registers that hold its arguments)
_OPERATIONS: Final = {
    HelperId.map_lookup_elem: ("lookup", (2,)),
    HelperId.map_update_elem: ("update", (2, 3, 4)),
    HelperId.map_delete_elem: ("delete", (2,)),
    HelperId.map_lookup_percpu_elem: ("lookup_percpu", (2, 3)),
    HelperId.map_push_elem: ("push", (2, 3)),
    HelperId.map_pop_elem: ("pop", (2,)),
    HelperId.map_peek_elem: ("peek", (2,)),
    HelperId.ringbuf_reserve: ("reserve", (2, 3)),
    HelperId.ringbuf_output: ("output", (2, 3, 4)),
    HelperId.ringbuf_query: ("query", (2,)),
}


def _bind(op: str, args: tuple[int, ...]) -> Bind:
    def bind(env: Env, fact: Fact) -> Binding | None:
        if fact.map is None:
            return None
        found = None if op == "update" and env.maps[fact.map].guarded else env.maps[fact.map].ops(op)
        return None if found is None else Binding(found[0], found[1], args)

    return bind


BINDS: Final[dict[HelperId, Bind]] = {helper: _bind(op, args) for helper, (op, args) in _OPERATIONS.items()}


@native_body(HelperId.map_lookup_elem)
@native
def map_lookup_elem(rt: int, desc: int, key: int) -> int:
    """Address of the value, or 0."""
    return call(load64(desc + DESC_LOOKUP), rt, desc, key)


@native_body(HelperId.map_update_elem)
@native
def map_update_elem(rt: int, desc: int, key: int, value: int, flags: int) -> int:
    """0 or a negative errno."""
    return call(load64(desc + DESC_UPDATE), rt, desc, key, value, flags)


@native_body(HelperId.map_delete_elem)
@native
def map_delete_elem(rt: int, desc: int, key: int) -> int:
    """0 or a negative errno."""
    return call(load64(desc + DESC_DELETE), rt, desc, key)


@native_body(HelperId.map_lookup_percpu_elem)
@native
def map_lookup_percpu_elem(rt: int, desc: int, key: int, cpu: int) -> int:
    """Address of a CPU's value, or 0."""
    return call(load64(desc + DESC_LOOKUP_PERCPU), rt, desc, key, cpu)


@native_body(HelperId.map_push_elem)
@native
def map_push_elem(rt: int, desc: int, value: int, flags: int) -> int:
    """0 or a negative errno."""
    return call(load64(desc + DESC_PUSH), rt, desc, value, flags)


@native_body(HelperId.map_pop_elem)
@native
def map_pop_elem(rt: int, desc: int, value: int) -> int:
    """0 or a negative errno."""
    return call(load64(desc + DESC_POP), rt, desc, value)


@native_body(HelperId.map_peek_elem)
@native
def map_peek_elem(rt: int, desc: int, value: int) -> int:
    """0 or a negative errno."""
    return call(load64(desc + DESC_PEEK), rt, desc, value)


native_body(HelperId.get_local_storage)(local_value)
native_body(HelperId.ringbuf_reserve)(any_reserve)
native_body(HelperId.ringbuf_output)(any_output)
native_body(HelperId.ringbuf_query)(any_query)
native_body(HelperId.ringbuf_submit)(submit)
native_body(HelperId.ringbuf_discard)(discard)

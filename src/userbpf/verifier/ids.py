"""Ids of two states set against each other: names that mean nothing by themselves, only who shares them."""

from __future__ import annotations

from typing import Final


class IdMap:
    """Which id of the present state plays the role of which id of the kept one; one to one."""

    __slots__ = ("back", "forth", "fresh")

    def __init__(self, fresh: int) -> None:
        self.forth: dict[int, int] = {}
        self.back: dict[int, int] = {}
        self.fresh = fresh

    def same(self, old: int, cur: int) -> bool:
        if (old == 0) != (cur == 0):
            return False
        if old == 0:
            return True
        seen = self.forth.get(old)
        if seen is not None:
            return seen == cur
        if cur in self.back:
            return False
        self.forth[old] = cur
        self.back[cur] = old
        return True

    def same_scalar(self, old: int, cur: int) -> bool:
        """An unlinked scalar relies on no link; one that is linked where the present one is not fits nothing else."""
        if not old:
            return True
        if not cur:
            self.fresh += 1
            cur = self.fresh
        return self.same(old, cur)


class AnyIds(IdMap):
    """Any id plays any role: what differs even then differs for sure."""

    __slots__ = ()

    def same(self, old: int, cur: int) -> bool:
        return (old == 0) == (cur == 0)

    def same_scalar(self, old: int, cur: int) -> bool:
        return True


ANY_IDS: Final = AnyIds(0)

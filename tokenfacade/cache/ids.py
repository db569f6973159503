"""The ids that a cache keeps: as sequences of integers that all of them share."""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Ids = tuple[int, ...] | array[int]
    """Ids that are kept: nobody changes them."""

INTEGER_BYTES = 32
"""What is allocated for an integer of 28 bytes."""

SHARED_BYTES = 120 + INTEGER_BYTES
"""The most that an integer takes in a table, which is the largest for its entries when it has just grown."""

PART = 20_000
"""Ids that are looked up at once, with the interpreter's lock held: for about a millisecond."""


class SharedIds:
    """One integer for each id, so that lists of ids need not make their own.

    Args:
        most_bytes: What the integers may take, with the table that finds them.

    Example:
        >>> shared = SharedIds(10_000)
        >>> shared.kept([1, 70000]), shared.kept(list(range(1000)))[:3]
        ((1, 70000), array('I', [0, 1, 2]))
    """

    # A tuple of shared integers takes 8 bytes for each id, and a list of 32,000 is made of it in 0.05 ms; packed they
    # take 4 bytes each and 0.4 ms. A tuple with integers of its own takes 40 for each. Finding the integers of new ids
    # takes 32 ns for each, packing them 6.

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes // SHARED_BYTES
        self._integers: dict[int, int] = {}

    def kept(self, ids: list[int]) -> Ids:
        """The same ids to keep: packed where there is no more room for the integers that are new."""
        integers = self._integers
        room = self._most - len(integers)
        if len(ids) > room and sum(each not in integers for each in set(ids)) > room:
            return _packed(ids)
        if len(ids) <= PART:
            return tuple(map(integers.setdefault, ids, ids))
        same: list[int] = []
        for begin in range(0, len(ids), PART):
            part = ids[begin : begin + PART]
            same += map(integers.setdefault, part, part)
        return tuple(same)

    def clear(self) -> None:
        """Forget all integers, when the ids that share them are forgotten too."""
        # Those that another thread is just about to keep stay with their integers, which then aren't counted.
        self._integers = {}

    @property
    def bytes(self) -> int:
        """What the integers take, with the table."""
        integers = self._integers
        return sys.getsizeof(integers) + len(integers) * INTEGER_BYTES if integers else 0


def _packed(ids: list[int]) -> array[int]:
    try:
        return array("I", ids)
    except OverflowError:
        return array("q", ids)

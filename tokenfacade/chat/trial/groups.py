"""What the filters that group a trial's values, or choose one of them, give (see `run`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from tokenfacade.chat.trial.operations import Run, along, guarded, paid_items_of
from tokenfacade.chat.trial.symbols import Several, Stream, Undefined, Unknown, is_known, truth_of, unknown_of

LARGEST_GROUP = 64
"""More groups, or longer ones, aren't followed."""

Named = Mapping[str, Any]


def _argument(positional: list[Any], named: Named, position: int, name: str) -> Any:
    return positional[position] if len(positional) > position else named.get(name)


def _parts(run: Run, value: Any) -> list[Any]:
    return [] if truth_of(value) is False else paid_items_of(run, value)


def batch(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    size, filling = _argument(positional, named, 0, "linecount"), _argument(positional, named, 1, "fill_with")
    if not _is_count(size) or not _is_followed(value):
        return unknown_of(value)
    parts = _parts(run, value)
    run.spend(len(parts))
    groups = [parts[start : start + size] for start in range(0, len(parts), size)]
    if filling is not None and groups:
        groups[-1] += [filling] * (size - len(groups[-1]))
    return Stream(tuple(groups))


def sliced(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    count, filling = _argument(positional, named, 0, "slices"), _argument(positional, named, 1, "fill_with")
    if not _is_count(count) or not _is_followed(value):
        return unknown_of(value)
    parts = _parts(run, value)
    run.spend(len(parts) + count)
    length, longer = divmod(len(parts), count)
    starts = [number * length + min(number, longer) for number in range(count + 1)]
    groups = [parts[start:end] for start, end in pairwise(starts)]
    if filling is not None:
        groups = [[*group, filling] if number >= longer else group for number, group in enumerate(groups)]
    return Stream(tuple(groups))


def grouped(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    """Pairs of a value and a list of what has it, also as ``.grouper`` and ``.list`` (see `jinja_operations.item`)."""
    if not _is_followed(value):
        return unknown_of(value)
    fallback = _argument(positional, named, 1, "default")
    groups: dict[Any, list[Any]] = {}
    for part in _parts(run, value):
        run.spend()
        found = along(run, part, _argument(positional, named, 0, "attribute"))
        by = fallback if isinstance(found, Undefined) else found
        groups.setdefault(by if is_known(by) else None, []).append(part)
    every = list(groups.items())
    if all(isinstance(by, str) for by in groups):
        every.sort(key=lambda group: str(group[0]))
    return every


def one_of(kind: str) -> Callable[..., Any]:
    """`min`, `max` or `random`: of several parts that aren't known nobody knows which."""

    def choose(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
        if not _is_followed(value):
            return unknown_of(value)
        parts = _parts(run, value)
        if len(parts) < 2:
            return parts[0] if parts else Undefined()
        if kind != "random" and not positional and not named and all(map(is_known, parts)):
            run.spend(len(parts))
            return guarded(min if kind == "min" else max, parts)
        return unknown_of(value)

    return choose


def _is_count(size: Any) -> bool:
    return type(size) is int and 0 < size <= LARGEST_GROUP


def _is_followed(value: Any) -> bool:
    return not isinstance(value, (Unknown, Several))


GROUP_FILTERS: Mapping[str, Callable[[Run, Any, list[Any], dict[str, Any]], Any]] = {
    "batch": batch,
    "slice": sliced,
    "groupby": grouped,
    **{kind: one_of(kind) for kind in ("min", "max", "random")},
}

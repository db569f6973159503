"""What filters, methods and built-in functions give in a trial run, for values that may be partly unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tokenfacade.chat.trial.groups import GROUP_FILTERS
from tokenfacade.chat.trial.operations import Run, along, contains, guarded, lines_of, negated, paid_items_of, test
from tokenfacade.chat.trial.symbols import (
    CYCLED,
    LONGEST_TEXT,
    Builtin,
    Method,
    Several,
    Stream,
    Text,
    TrialFailure,
    Undefined,
    Unknown,
    is_known,
    is_textual,
    joined,
    json_pieces,
    likely,
    sources_of,
    truth_of,
    unknown_of,
)

LONGEST_RANGE = 64
"""A longer ``range`` is a sequence of unknown length: the trial needs to see one turn of it."""

SAME_WORDS = frozenset(
    "capitalize format ljust lower lstrip removeprefix removesuffix replace rjust rstrip strip swapcase title upper "
    "zfill trim safe e escape forceescape indent string wordwrap truncate center striptags urlize xmlattr".split()
)
"""Methods and filters that leave a text's words where they are."""

KNOWN_METHODS = SAME_WORDS - {"center", "indent", "ljust", "rjust", "zfill", "format"} | {
    *("count", "endswith", "find", "index", "rfind", "startswith"),
    *("partition", "rpartition", "rsplit", "split", "splitlines"),
    *("isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper"),
}
"""Methods that may be called on a wholly known text: none of them but `replace` makes it much longer."""

Named = Mapping[str, Any]


def call(run: Run, called: Any, positional: list[Any], named: dict[str, Any]) -> Any:
    """What a call gives. Raises: TrialFailure."""
    run.spend()
    if isinstance(called, Method):
        return _call_method(run, called, positional, named)
    if isinstance(called, Builtin):
        return _call_builtin(run, called.name, positional, named)
    if isinstance(called, Unknown):
        return unknown_of(called, *positional, *named.values())
    if hasattr(called, "parameters"):
        return run.call_macro(called, positional, named)
    raise TrialFailure("what isn't a function can't be called")


def _call_builtin(run: Run, name: str, positional: list[Any], named: dict[str, Any]) -> Any:
    if name == "raise_exception":
        raise TrialFailure("the template refuses")
    if name == "namespace":
        given = positional[0] if positional and isinstance(positional[0], Mapping) else {}
        run.spend((len(given) + len(named)) // 16)
        return run.new_namespace({**given, **named})
    if name == "dict":
        given = positional[0] if positional and isinstance(positional[0], Mapping) else {}
        run.spend((len(given) + len(named)) // 16)
        return {**given, **named}
    if name == "range":
        if any(isinstance(bound, Unknown) for bound in positional):
            return Several(Unknown())
        numbers = guarded(range, *positional)
        return list(numbers) if len(numbers[: LONGEST_RANGE + 1]) <= LONGEST_RANGE else Several(Unknown())
    if name == "cycler" and len(positional) == 1:
        return {"current": positional[0], CYCLED: positional[0]}
    return unknown_of(*positional, *named.values())


def _call_method(run: Run, method: Method, positional: list[Any], named: dict[str, Any]) -> Any:
    owner, name = method.owner, method.name
    if is_textual(owner):
        return _call_text_method(run, owner, name, positional, named)
    if isinstance(owner, Mapping):
        return _call_mapping_method(run, owner, name, positional)
    if name == "copy":
        return owner
    if name in ("index", "count"):
        return Unknown()
    raise TrialFailure("a chat template may not change a list")


def _call_mapping_method(run: Run, owner: Mapping[str, Any], name: str, positional: list[Any]) -> Any:
    if name == "get":
        found = run.item(owner, positional[0]) if positional else Undefined()
        return (positional[1] if len(positional) > 1 else None) if isinstance(found, Undefined) else found
    run.spend(len(owner) // 16)
    if name == "copy":
        return dict(owner)
    if name == "cycle":
        return positional[owner["index0"] % len(positional)] if positional else Undefined()
    if name in ("next", "reset"):
        return owner[CYCLED] if name == "next" else None
    if name in ("items", "keys", "values"):
        return list(getattr(dict, name)(owner))
    raise TrialFailure("a chat template may not change a mapping")


def _call_text_method(run: Run, owner: str | Text, name: str, positional: list[Any], named: Named) -> Any:
    if name == "join":
        return _join(run, positional[0] if positional else [], [owner], {})
    if name == "format":
        return run.text(owner, *positional, *named.values())
    if isinstance(owner, str) and name in KNOWN_METHODS and all(map(is_known, positional)):
        return _of_known_text(run, owner, name, positional)
    if name in SAME_WORDS:
        return _changed_text(run, owner, name, positional)
    if name in ("split", "rsplit", "splitlines", "partition", "rpartition"):
        return lines_of(owner) if isinstance(owner, Text) else Several(owner)
    return unknown_of(owner, *positional, *named.values(), likely=False)


def _of_known_text(run: Run, owner: str, name: str, positional: list[Any]) -> Any:
    """What one of the `KNOWN_METHODS` gives; a replacement that would be too long isn't made."""
    run.spend(len(owner) // 256)
    if name == "replace" and len(positional) > 1 and isinstance(positional[0], str) and isinstance(positional[1], str):
        run.spend(len(positional[1]) // 256)
        if owner.count(positional[0]) * len(positional[1]) > LONGEST_TEXT:
            return owner
    result = guarded(getattr(str, name), owner, *positional)
    run.spend(len(result) // 16 if isinstance(result, (list, tuple)) else 0)
    return result[:LONGEST_TEXT] if isinstance(result, str) else result


def _changed_text(run: Run, owner: str | Text, name: str, positional: list[Any]) -> str | Text:
    """The text after a change that leaves its words; only what replaces a literal of it can be seen exactly."""
    if name == "replace" and len(positional) > 1 and all(isinstance(value, Text) for value in positional[1:2]):
        return run.text(owner, positional[1])
    return owner


def filtered(run: Run, name: str, value: Any, positional: list[Any], named: dict[str, Any]) -> Any:
    """What ``value|name`` gives. Raises: TrialFailure."""
    function = FILTERS.get(name)
    if function is not None:
        return function(run, value, positional, named)
    if name in SAME_WORDS:
        return _text_filter(run, name, value, positional)
    return unknown_of(value, *positional, *named.values())


def _text_filter(run: Run, name: str, value: Any, positional: list[Any]) -> Any:
    text = value if is_textual(value) else run.text(value)
    method = "strip" if name == "trim" else name
    if isinstance(text, str) and method in KNOWN_METHODS and hasattr(str, method) and all(map(is_known, positional)):
        return _of_known_text(run, text, method, positional)
    return _changed_text(run, text, name, positional)


def _to_json(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    if isinstance(value, (Undefined, Stream)):
        raise TrialFailure("what isn't there, or is only to be gone through, has no JSON")
    return run.joined_text(json_pieces(run.text(value) if is_textual(value) else value))


def _length(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    if isinstance(value, (str, list, tuple, Mapping)):
        return len(value)
    if isinstance(value, Undefined):
        return 0
    if is_known(value) or isinstance(value, Stream):
        raise TrialFailure("it has no length")
    return Unknown(sources_of(value))


def _items(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    if isinstance(value, Mapping):
        run.spend(len(value) // 16)
        return Stream(tuple(value.items()))
    if isinstance(value, Undefined):
        return Stream(())
    if isinstance(value, Unknown):
        return Several((value, value))
    raise TrialFailure("only mappings have items")


def _first(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    return next(iter(paid_items_of(run, value)), Undefined())


def _last(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    return next(iter(reversed(paid_items_of(run, value))), Undefined())


def _list(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    return value if isinstance(value, (Several, Unknown)) else paid_items_of(run, value)


def _reversed(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    unordered = is_textual(value) or isinstance(value, (Several, Unknown))
    return value if unordered else Stream(tuple(paid_items_of(run, value)[::-1]))


def _join(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    separator = positional[0] if positional else named.get("d", "")
    attribute = positional[1] if len(positional) > 1 else named.get("attribute")
    parts: list[Any] = []
    for position, part in enumerate(paid_items_of(run, value)):
        found = part if attribute is None else along(run, part, attribute)
        parts += [separator, found] if position else [found]
    return run.text(*parts)


def _default(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    fallback = positional[0] if positional else named.get("default_value", "")
    for_empty = positional[1] if len(positional) > 1 else named.get("boolean", False)
    if isinstance(value, Undefined):
        return fallback
    if for_empty is not True:
        return value
    truth = run.ask(value)
    return joined(value, fallback) if isinstance(truth, Unknown) else (value if truth else fallback)


def _map(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    parts = [] if truth_of(value) is False else paid_items_of(run, value)
    run.spend(len(parts))
    if "attribute" in named:
        found = (along(run, part, named["attribute"]) for part in parts)
        return Stream(tuple(named.get("default", part) if isinstance(part, Undefined) else part for part in found))
    if positional and isinstance(positional[0], str):
        return Stream(tuple(filtered(run, positional[0], part, positional[1:], dict(named)) for part in parts))
    return unknown_of(value, *positional, *named.values())


def _chosen(kind: str) -> Callable[..., Any]:
    """`select`, `reject`, `selectattr` or `rejectattr`; what is not known counts as what is likely."""

    def choose(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
        by_attribute = kind.endswith("attr") and bool(positional)
        test_name, *others = positional[1 if by_attribute else 0 :] or [None]
        chosen = []
        for part in [] if truth_of(value) is False else paid_items_of(run, value):
            run.spend()
            examined = along(run, part, positional[0]) if by_attribute else part
            truth = test(run, test_name, examined, others) if isinstance(test_name, str) else run.ask(examined)
            if likely(negated(truth, kind.startswith("reject"))):
                chosen.append(part)
        return Stream(tuple(chosen))

    return choose


def _unique(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    kept: list[Any] = []
    for part in paid_items_of(run, value):
        run.spend(1 + len(kept))
        if contains(run, kept, part) is not True:
            kept.append(part)
    return Stream(tuple(kept))


def _sorted(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    parts = paid_items_of(run, value)
    run.spend(len(parts))
    return sorted(parts) if all(isinstance(part, str) for part in parts) else parts


def _sorted_items(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    return _sorted(run, list(value.items()), [], {}) if isinstance(value, Mapping) else _items(run, value, [], {})


def _number(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    return value if isinstance(value, (int, float)) else Unknown(sources_of(value))


def _attribute(run: Run, value: Any, positional: list[Any], named: Named) -> Any:
    return Undefined()


FILTERS: Mapping[str, Callable[[Run, Any, list[Any], dict[str, Any]], Any]] = {
    **GROUP_FILTERS,
    "tojson": _to_json,
    "items": _items,
    "first": _first,
    "last": _last,
    "list": _list,
    "reverse": _reversed,
    "join": _join,
    "map": _map,
    "unique": _unique,
    "sort": _sorted,
    "dictsort": _sorted_items,
    "attr": _attribute,
    "pprint": lambda run, value, positional, named: run.text(value),
    "format": lambda run, value, positional, named: run.text(value, *positional, *named.values()),
    **dict.fromkeys(("length", "count"), _length),
    **dict.fromkeys(("default", "d"), _default),
    **dict.fromkeys(("int", "float", "abs", "round"), _number),
    **{kind: _chosen(kind) for kind in ("select", "reject", "selectattr", "rejectattr")},
}

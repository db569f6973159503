"""Strings that know which of their characters a message said, whatever is done with them.

A prompt is made of what the template says and of what messages say, and only the first may hold control tokens. To tell
the two apart after a template has cut, trimmed, joined and replaced, each string of a message is a `MessageText`: a
`str` whose methods and operators give the same characters as those of `str`, and keep the account. Where an exact
account isn't worth its code, the whole result counts as said by a message: never too little is marked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

if TYPE_CHECKING:
    from tokenfacade.encoding import Span

ROLES = frozenset(
    {
        *("assistant", "developer", "environment", "function", "ipython", "model", "observation", "system", "tool"),
        "user",
    }
)
"""The roles that count as the template's own words: some templates make control tokens of them (``<|user|>``)."""

_MOST_PIECES = 2**18
"""Pieces of one text of which an account is kept, beyond a fraction of a second; a text in more of them is all said."""

_new = str.__new__
_HARMLESS = frozenset({str, int, float, bool, type(None), range})


class MessageText(str):
    """A `str` that knows which of its characters a message said.

    It is equal to, hashes and compares like the `str` of the same characters.

    Args:
        text: The characters.
        spans: Which of them a message said: ranges in order that neither touch nor overlap. None means all.

    Example:
        >>> prompt = "<|user|>" + MessageText(" hello ").strip() + "<|end|>"
        >>> prompt, message_spans(prompt)
        ('<|user|>hello<|end|>', ((8, 13),))
    """

    __slots__ = ("__dict__",)
    _spans: tuple[Span, ...] | None = None  # for all, and not stored: texts are cut out of others by the million

    def __new__(cls, text: str = "", spans: tuple[Span, ...] | None = None) -> MessageText:
        self = _new(cls, text)
        if spans is not None:
            self._spans = spans
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return MessageText, (plain(self), message_spans(self))

    def __copy__(self) -> MessageText:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> MessageText:
        return self

    def __str__(self) -> str:
        return self

    def __format__(self, format_spec: str) -> str:
        return MessageText(str.__format__(self, format_spec)) if format_spec else self

    def __add__(self, other: str) -> str:
        return join_texts((self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> str:
        return join_texts((other, self)) if isinstance(other, str) else NotImplemented

    def __mul__(self, times: SupportsIndex) -> str:
        text = str.__mul__(self, times)
        if not text or self._is_whole():
            return MessageText(text)
        starts = range(0, len(text), len(self))
        spans = ((at + start, at + end) for at in starts for start, end in message_spans(self))
        return MessageText(text, merge_spans(spans))

    __rmul__ = __mul__

    def __mod__(self, values: Any) -> str:
        return MessageText(str.__mod__(self, values))

    def __rmod__(self, template: str) -> str:
        return MessageText(str.__mod__(template, plain(self))) if isinstance(template, str) else NotImplemented

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        if not isinstance(key, slice):
            at = range(len(self))[key]
            return self._cut(at, at + 1)
        indices = range(len(self))[key]
        if indices.step == 1:
            return self._cut(indices.start, max(indices.start, indices.stop))
        if self._is_whole() or len(indices) > _MOST_PIECES:
            return MessageText(str.__getitem__(self, key))
        return join_texts([self._cut(at, at + 1) for at in indices])

    def __iter__(self) -> Iterator[str]:
        if self._is_whole():
            return map(_new, repeat(MessageText), str.__iter__(self))
        return (self._cut(at, at + 1) for at in range(len(self)))

    def _is_whole(self) -> bool:
        """Whether a message said all of it."""
        return self._spans is None or (len(self._spans) == 1 and self._spans[0] == (0, len(self)))

    def _cut(self, start: int, end: int) -> str:
        """The characters from `start` to `end`, which are within the text."""
        text = str.__getitem__(self, slice(start, end))
        if self._is_whole():
            return _new(MessageText, text)
        spans = message_spans(self)
        first = max(bisect_right(spans, (start, len(self) + 1)) - 1, 0)
        found = []
        for n in range(first, len(spans)):
            if spans[n][0] >= end:
                break
            if spans[n][1] > start:
                found.append((max(spans[n][0], start) - start, min(spans[n][1], end) - start))
        return MessageText(text, tuple(found))

    def _cut_out(self, parts: Sequence[str], skipped: int) -> list[str]:
        """The parts of this text, one after the other with `skipped` characters between them."""
        if self._is_whole() or len(parts) > _MOST_PIECES:
            return list(map(_new, repeat(MessageText), parts))
        found, at = [], 0
        for part in parts:
            found.append(self._cut(at, at + len(part)))
            at += len(part) + skipped
        return found

    def _recased(self, text: str) -> str:
        """The text after a change that maps characters one by one, if no character became several."""
        return MessageText(text, self._spans if len(text) == len(self) else None)

    def strip(self, chars: str | None = None) -> str:
        start = len(self) - len(str.lstrip(self, chars))
        return self._cut(start, max(start, len(str.rstrip(self, chars))))

    def lstrip(self, chars: str | None = None) -> str:
        return self._cut(len(self) - len(str.lstrip(self, chars)), len(self))

    def rstrip(self, chars: str | None = None) -> str:
        return self._cut(0, len(str.rstrip(self, chars)))

    def removeprefix(self, prefix: str) -> str:
        return self._cut(len(self) - len(str.removeprefix(self, prefix)), len(self))

    def removesuffix(self, suffix: str) -> str:
        return self._cut(0, len(str.removesuffix(self, suffix)))

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        return self._split_parts(str.split(self, sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        return self._split_parts(str.rsplit(self, sep, maxsplit), sep)

    def _split_parts(self, parts: list[str], sep: str | None) -> list[str]:
        if sep is not None or self._is_whole() or len(parts) > _MOST_PIECES:
            return self._cut_out(parts, len(sep or ""))
        found, at = [], 0
        for part in parts:
            # Between two parts is only white space, which neither begins with; so this can't find an earlier place.
            start = str.find(self, part, at)
            at = start + len(part)
            found.append(self._cut(start, at))
        return found

    def splitlines(self, keepends: bool = False) -> list[str]:  # noqa: FBT001, FBT002
        lines = self._cut_out(str.splitlines(self, True), 0)  # noqa: FBT003
        if keepends:
            return lines
        return [line[: len(bare)] for line, bare in zip(lines, str.splitlines(self), strict=True)]

    def partition(self, sep: str) -> tuple[str, str, str]:
        before, found, after = self._cut_out(str.partition(self, sep), 0)
        return before, found, after

    def rpartition(self, sep: str) -> tuple[str, str, str]:
        before, found, after = self._cut_out(str.rpartition(self, sep), 0)
        return before, found, after

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> str:
        text = str.replace(self, old, new, count)
        if str.count(self, old) > _MOST_PIECES or (self._is_whole() and not new):
            return MessageText(text)
        if old:
            parts: Sequence[str] = self.split(old, count)
        else:
            places = len(self) + 1 if count.__index__() < 0 else min(count.__index__(), len(self) + 1)
            head = [self._cut(at, at + 1) for at in range(places - 1)] if places else []
            parts = ["", *head, self._cut(len(head), len(self))] if places else [self]
        joined = join_texts(_between(new, parts))
        return joined if joined == text else MessageText(text)

    def join(self, iterable: Iterable[str]) -> str:
        parts = list(iterable)
        str.join(self, parts)  # raises what `str` raises for what can't be joined
        return join_texts(_between(self, parts))

    def center(self, width: SupportsIndex, fillchar: str = " ") -> str:
        # Where the filling ends isn't told by its characters: the text may begin with them too.
        left = len(str.rstrip(str.center("a" * len(self), width, "b"), "b")) - len(self) if self else 0
        return self._filled(str.center(self, width, fillchar), left, fillchar)

    def ljust(self, width: SupportsIndex, fillchar: str = " ") -> str:
        return self._filled(str.ljust(self, width, fillchar), 0, fillchar)

    def rjust(self, width: SupportsIndex, fillchar: str = " ") -> str:
        text = str.rjust(self, width, fillchar)
        return self._filled(text, len(text) - len(self), fillchar)

    def _filled(self, text: str, left: int, fillchar: str) -> str:
        """A text in which this one begins at `left`, between filling."""
        filling = MessageText if message_spans(fillchar) else str
        return join_texts((filling(text[:left]), self, filling(text[left + len(self) :])))

    def capitalize(self) -> str:
        return self._recased(str.capitalize(self))

    def casefold(self) -> str:
        return self._recased(str.casefold(self))

    def lower(self) -> str:
        return self._recased(str.lower(self))

    def upper(self) -> str:
        return self._recased(str.upper(self))

    def swapcase(self) -> str:
        return self._recased(str.swapcase(self))

    def title(self) -> str:
        return self._recased(str.title(self))

    def expandtabs(self, tabsize: SupportsIndex = 8) -> str:
        return MessageText(str.expandtabs(self, tabsize))

    def zfill(self, width: SupportsIndex) -> str:
        return MessageText(str.zfill(self, width))

    def translate(self, table: Any) -> str:
        return MessageText(str.translate(self, table))

    def format(self, *args: Any, **kwargs: Any) -> str:
        return MessageText(str.format(self, *args, **kwargs))

    def format_map(self, mapping: Any) -> str:
        return MessageText(str.format_map(self, mapping))


def plain(text: str) -> str:
    """The characters alone: a `str` of exactly that type."""
    return str.__str__(text)


def message_spans(text: str) -> tuple[Span, ...]:
    """Which characters of a string a message said; all of them for a `str` of a kind that isn't known here.

    Example:
        >>> message_spans("template"), message_spans(MessageText("said"))
        ((), ((0, 4),))
    """
    if text.__class__ is str:
        return ()
    if isinstance(text, MessageText) and text._spans is not None:
        return text._spans
    return ((0, len(text)),) if text else ()


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same characters as spans in order that neither touch nor overlap; they must come by where they start.

    Example:
        >>> merge_spans([(0, 2), (2, 3), (5, 5), (5, 6)])
        ((0, 3), (5, 6))
    """
    merged: list[Span] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        elif start < end:
            merged.append((start, end))
    return tuple(merged)


def join_texts(parts: Iterable[str]) -> str:
    """What ``"".join`` gives, with the account of each part kept.

    Example:
        >>> message_spans(join_texts(["a", MessageText("b"), MessageText("c"), "d"]))
        ((1, 3),)
    """
    parts = parts if isinstance(parts, list | tuple) else list(parts)
    text = "".join(parts)
    spans: list[Span] = []
    at = begun = ended = 0
    for part in parts:
        if part.__class__ is not str:
            known = part._spans if part.__class__ is MessageText else message_spans(part)
            for start, end in ((0, len(part)),) if known is None else known:
                if start == end:
                    continue
                if at + start != ended:
                    spans.append((begun, ended))
                    begun = at + start
                ended = at + end
        at += len(part)
    spans.append((begun, ended))
    # The first is empty where nothing was said at the beginning.
    return MessageText(text, tuple(spans if spans[0][1] else spans[1:])) if ended else text


def _between(separator: str, parts: Sequence[str]) -> list[str]:
    """The parts with the separator between each two."""
    woven = [separator] * (2 * len(parts) - 1)
    woven[::2] = parts
    return woven


def holds_message(value: Any) -> bool:
    """Whether there is anything in a value that a message said; also for what can't be looked into.

    Example:
        >>> holds_message({"a": [1, "b"]}), holds_message({"a": [1, MessageText("b")]}), holds_message(object())
        (False, True, True)
    """
    stack = [value]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind in _HARMLESS:
            continue
        if isinstance(item, MessageText):
            if message_spans(item):
                return True
        elif kind is dict:
            stack += item
            stack += item.values()
        elif kind is list or kind is tuple:
            stack += item
        else:
            return True
    return False


@overload
def said_by_message(value: str) -> MessageText: ...
@overload
def said_by_message(value: Mapping[str, Any]) -> dict[str, Any]: ...
@overload
def said_by_message(value: Any) -> Any: ...
def said_by_message(value: Any) -> Any:
    """The value with each string in it, also among the keys of mappings, marked as said by a message.

    Numbers stay as they are: no digits make a control token.

    Example:
        >>> said = said_by_message({"name": ["x", 1]})
        >>> said == {"name": ["x", 1]}, type(said["name"][0]).__name__
        (True, 'MessageText')
    """
    if isinstance(value, str):
        return value if isinstance(value, MessageText) else MessageText(value)
    if isinstance(value, Mapping):
        return {said_by_message(key): said_by_message(item) for key, item in value.items()}
    if isinstance(value, list):
        return [said_by_message(item) for item in value]
    if isinstance(value, tuple):
        return tuple(said_by_message(item) for item in value)
    return value


def said_by_messages(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages with each string marked, but for roles that everybody knows: those are words of the template.

    A role that isn't known is marked: it could be ``"end"``, and complete the ``<|end|>`` of a template that writes
    ``'<|' + message['role'] + '|>'``.

    Example:
        >>> known, unknown = said_by_messages([{"role": "user"}, {"role": "end"}])
        >>> message_spans(known["role"]), message_spans(unknown["role"])
        ((), ((0, 3),))
    """
    return [
        {
            **said_by_message(message),
            **({"role": role} if (role := message.get("role")).__class__ is str and role in ROLES else {}),
        }
        for message in messages
    ]

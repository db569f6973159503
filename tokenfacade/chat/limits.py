"""How much a template may do: characters given out, characters made on the way, steps, and seconds.

A chat template is a program by somebody else, and four lines of it can run for days. What can't be interrupted in
Python (one big multiplication) is refused before it starts; everything else pays into a `Budget` as it goes: a step for
each turn of a loop and each call, a character for each character of the longer strings that it makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from time import thread_time
from types import GeneratorType, MappingProxyType
from weakref import WeakKeyDictionary

from tokenfacade.errors import ConfigurationError, TemplateLimitError

LONG = 4096
"""Strings and lists of fewer elements than this cost a step at most, so only longer ones are counted."""

SHORT = 64
"""Strings of no more characters than this cost a step at most, wherever they are kept."""

MAX_STEPS = 10_000_000
"""Turns of loops and calls; with a pointer for each piece of output, the memory that they can take is some 80 MB."""

WORK_FACTOR = 8
"""Characters that may be made on the way to one of the output."""

MAX_COMPARISONS = 2**29
"""Pairs of characters that one comparison, search or sort may compare at worst."""

MAX_WIDTH = 100_000
"""The widest that a column, an indent or a number may be made."""

MAX_ELEMENTS = 2**20
"""Elements of a list, all that is nested in it included; and characters that are taken one by one. What goes through
them in one call can't be interrupted, and takes up to a microsecond for each."""

MAX_BITS = 100_000
"""The largest integer, in bits."""

MAX_CHAIN = 100
"""Filters that may each read what the one before gives, element by element."""

_STEPS_BETWEEN_LOOKS = 128
_CHARACTERS_BETWEEN_LOOKS = 4_000_000
_LEAVES = frozenset({str, int, float, bool, type(None)})
_BITS = 3  # of an integer to a character, as a power of two
_HASHED = 2**61 - 1  # the smallest integer that isn't its own hash
_VISIT = 32  # what going to an element costs, in characters read
_ELEMENT = 4  # characters that an element takes in print beside what it says
_VIEWS: tuple[type, ...] = (type({}.items()), type({}.keys()), type({}.values()))


@dataclass(frozen=True, slots=True)
class TemplateLimits:
    """What one rendering may take before it ends in `TemplateLimitError`.

    Attributes:
        max_output: Characters of the prompt. Memory is bounded by some forty times as much, in bytes.
        max_seconds: Seconds of processor time of the thread that renders: a busy machine fails no request.

    Raises:
        ConfigurationError: One of them isn't positive.

    Example:
        >>> from tokenfacade import ChatTemplate, TemplateLimitError
        >>> template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", limits=TemplateLimits(10))
        >>> try:
        ...     template.render([{"role": "user", "content": "more than ten characters"}])
        ... except TemplateLimitError as error:
        ...     print(error)
        the chat template makes more than 10 characters
    """

    max_output: int = 2**24
    max_seconds: float = 2.0

    def __post_init__(self) -> None:
        numbers = isinstance(self.max_output, int) and isinstance(self.max_seconds, int | float)
        if not (numbers and self.max_output > 0 and self.max_seconds > 0):
            raise ConfigurationError(f"limits of a chat template must be positive numbers, not {self}")


class Budget:
    """What is left for one rendering.

    Attributes:
        tick: To be called for each turn of a loop and each call.
    """

    __slots__ = ("_chains", "_deadline", "_limits", "_made", "_next_look", "_read", "tick")

    def __init__(self, limits: TemplateLimits) -> None:
        self._limits = limits
        self._chains: WeakKeyDictionary[object, int] | None = None
        self._deadline: float | None = None
        self._made = 0
        self._read = 0
        self._next_look = _CHARACTERS_BETWEEN_LOOKS
        # Python runs for every so many steps only: a step takes 25 ns, where a method would take 60.
        self.tick = chain.from_iterable(self._steps()).__next__

    def _steps(self) -> Iterator[Iterator[None]]:
        for _ in repeat(None, MAX_STEPS // _STEPS_BETWEEN_LOOKS):
            yield repeat(None, _STEPS_BETWEEN_LOOKS)
            self._look_at_the_clock()
        raise TemplateLimitError(f"the chat template takes more than {MAX_STEPS} steps")

    def _look_at_the_clock(self) -> None:
        # The first look starts the clock: most renderings are over before it, and it takes as long as a message does.
        now = thread_time()
        if self._deadline is None:
            self._deadline = now + self._limits.max_seconds
        elif now > self._deadline:
            raise TemplateLimitError(f"the chat template takes more than {self._limits.max_seconds} s")

    def charge(self, size: int) -> None:
        """Count characters, or elements of a list, that the template made or is about to make.

        Raises:
            TemplateLimitError: It was too much, or it is too late.
        """
        self._made += size
        if self._made > WORK_FACTOR * self._limits.max_output:
            raise TemplateLimitError(
                f"the chat template makes more than {WORK_FACTOR * self._limits.max_output} characters on the way"
            )
        self.spend(size)

    def refund(self, size: int) -> None:
        """Take back what was charged for characters, or elements of a list, that are given free."""
        self._made = max(self._made - size, 0)

    def spend(self, size: int) -> None:
        """Count characters, or elements of a list, that the template only reads: they take time, but no memory.

        Raises:
            TemplateLimitError: It is too late.
        """
        self._read += size
        if self._read > self._next_look:
            self._next_look = self._read + _CHARACTERS_BETWEEN_LOOKS
            self._look_at_the_clock()

    def check_output(self, size: int) -> None:
        """Raises `TemplateLimitError` if a prompt of that many characters is too long."""
        if size > self._limits.max_output:
            raise TemplateLimitError(f"the chat template makes more than {self._limits.max_output} characters")

    def check_width(self, *widths: object) -> None:
        """Raises `TemplateLimitError` if one of them is an integer that is too large for a width."""
        for width in widths:
            if isinstance(width, int) and abs(width) > MAX_WIDTH:
                raise TemplateLimitError(f"the chat template asks for a width of more than {MAX_WIDTH}")

    def check_bits(self, bits: int) -> None:
        """Raises `TemplateLimitError` if an integer of that many bits is too large."""
        if bits > MAX_BITS:
            raise TemplateLimitError(f"the chat template computes with integers of more than {MAX_BITS} bits")

    def check_elements(self, count: int) -> None:
        """Raises `TemplateLimitError` if a list of that many elements is too long."""
        if count > MAX_ELEMENTS:
            raise TemplateLimitError(f"the chat template takes apart, or lists, more than {MAX_ELEMENTS} elements")

    def check_comparisons(self, pairs: int) -> None:
        """Raises `TemplateLimitError` if comparing that many pairs of characters takes too long."""
        if pairs > MAX_COMPARISONS:
            raise TemplateLimitError(f"the chat template compares more than {MAX_COMPARISONS} characters in one call")
        self.spend(pairs)

    def check_chain(self, source: object, result: object) -> None:
        """Raises `TemplateLimitError` if a generator reads from another, and that from another, too many times.

        Reading from a long chain overflows the stack of the interpreter, which ends the process (Python 3.11).
        """
        if not (isinstance(source, GeneratorType) and isinstance(result, GeneratorType)):
            return
        if self._chains is None:
            self._chains = WeakKeyDictionary()
        self._chains[result] = length = self._chains.get(source, 1) + 1
        if length > MAX_CHAIN:
            raise TemplateLimitError(f"the chat template chains more than {MAX_CHAIN} filters")

    def weigh(self, value: object) -> None:
        """Count the elements of nested lists and mappings, as comparing or hashing them would meet them.

        A list that holds another one twice, which holds another one twice, is small in memory and endless to go
        through.

        Raises:
            TemplateLimitError: There are too many.
        """
        stack: list[object] = [value]
        count = 0
        while stack:
            children = _children(stack.pop())
            count += len(children)
            self.check_elements(count)
            stack += [child for child in children if child.__class__ not in _LEAVES]
        if count > LONG:
            self.spend(_VISIT * count)

    def weigh_comparison(self, value: object) -> None:
        """Count what comparing a value, or each one in it, with anything else reads at most: all of its text.

        A list that holds one long string many times is small in memory, and takes as long as if all were different.

        Raises:
            TemplateLimitError: It is too much.
        """
        if isinstance(value, str | bytes):
            self.spend(len(value))
            return
        stack: list[object] = [value]
        count = size = 0
        while stack:
            children = _children(stack.pop())
            count += len(children)
            self.check_elements(count)
            for child in children:
                kind = child.__class__
                if kind is str:
                    size += len(child)  # type: ignore[arg-type]
                elif kind is int:
                    size += child.bit_length() >> _BITS  # type: ignore[attr-defined]
                elif kind not in _LEAVES:
                    if isinstance(child, str | bytes):
                        size += len(child)
                    else:
                        stack.append(child)
        size += _VISIT * count
        if size > LONG:
            self.check_comparisons(size)

    def check_keys(self, keys: Iterable[object]) -> None:
        """Count what telling keys apart takes: for most it is a look at their hashes, but not for all.

        Integers that differ by a multiple of ``2**61 - 1`` have the same hash, and so have tuples of -1 and -2; each of
        these is compared with each.

        Raises:
            TemplateLimitError: It is too much.
        """
        odd = [key for key in keys if isinstance(key, tuple) or (key.__class__ is int and abs(key) >= _HASHED)]
        if odd:
            self.check_comparisons((_VISIT * len(odd) + self.weigh_text(odd)) * len(odd))

    def weigh_text(self, value: object) -> int:
        """Count the characters that there are to print of a value.

        Returns:
            How many there are, at least.

        Raises:
            TemplateLimitError: There are too many.
        """
        stack: list[object] = [value]
        size = counted = 0
        while stack:
            item = stack.pop()
            if isinstance(item, str | bytes):
                size += len(item)
            elif isinstance(item, int):
                size += item.bit_length() >> 2
            elif children := _children(item):
                size += _ELEMENT * len(children)
                stack += children
            if size - counted > LONG:
                self.charge(size - counted)
                counted = size
        return size


def _children(item: object) -> list[object] | tuple[object, ...]:
    """What is in a list or mapping; nothing for other values."""
    kind = item.__class__
    if kind is str or kind is int or item is None:
        return ()
    if kind is dict or kind is MappingProxyType:
        return [*item, *item.values()]  # type: ignore[misc, attr-defined]
    if kind is list or kind is tuple:
        return item  # type: ignore[return-value]
    # Groups are named tuples.
    return list(item) if isinstance(item, (tuple, *_VIEWS)) else ()  # type: ignore[call-overload]

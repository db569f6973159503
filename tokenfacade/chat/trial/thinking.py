"""Questions about how a template handles thinking, answered by trial runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenfacade.chat.trial import messages as trial_messages
from tokenfacade.chat.trial import thinking_tags
from tokenfacade.chat.trial.messages import ROLES, Message
from tokenfacade.chat.trial.symbols import LONGEST_TEXT, Piece, Unknown

if TYPE_CHECKING:
    from tokenfacade.chat.trial.questions import ContentShapes, TrialRuns
    from tokenfacade.chat.trial.run import Outcome

MOST_TOGGLES = 8
"""Variables that are tried out as toggles."""

MOST_WORDS = 6
"""Words that are tried out as the values of one variable."""

OPPOSITES = (("on", "off"), ("enabled", "disabled"), ("enable", "disable"), ("true", "false"), ("yes", "no"))
"""Words that switch thinking as the value of a variable with thinking in its name, whatever the prompt says then."""

Setting = bool | str

_ABOUT_THINKING = re.compile(r"think|thought|reason", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundToggle:
    """A variable that switches thinking, whether it is on without it, and the values that switch it on and off."""

    variable: str
    default: bool
    on: Setting
    off: Setting


Judged = tuple[tuple[bool, bool, int], FoundToggle]
"""How much of a toggle a variable is, and what it does."""


def opens_thinking(runs: TrialRuns, shapes: ContentShapes) -> bool:
    """Whether the first conversation that works ends inside an open thinking tag."""
    for messages in shapes.openings():
        outcome = runs.run(messages, add_generation_prompt=True)
        if not outcome.failed:
            return thinking_tags.ends_open(_ending(outcome.pieces))
    return False


def _ending(pieces: tuple[Piece, ...]) -> str:
    """The text after the last of a message's words."""
    last = max((at for at, piece in enumerate(pieces) if piece.source in ROLES), default=-1)
    return _literal(pieces[last + 1 :])


def _literal(pieces: tuple[Piece, ...]) -> str:
    return "".join(piece.literal for piece in pieces if piece.expected)[-LONGEST_TEXT:]


def thinking_toggle(runs: TrialRuns, variables: frozenset[str], shapes: ContentShapes) -> FoundToggle | None:
    """The variable whose truth, or whose word, changes what the prompt says about thinking, most of all at its end."""
    best: Judged | None = None
    truths, words = _candidates(runs, variables, shapes)
    for variable in truths[:MOST_TOGGLES]:
        best = _better(best, _judged(runs, variable, (True, False), shapes))
    for variable in sorted(words, key=_by_name)[:MOST_TOGGLES]:
        pair = _opposites(runs, variable, sorted(words[variable])[:MOST_WORDS], shapes)
        if pair is not None:
            best = _better(best, _judged(runs, variable, pair, shapes))
    return None if best is None else best[1]


def _better(best: Judged | None, other: Judged | None) -> Judged | None:
    return other if other is not None and (best is None or other[0] > best[0]) else best


def _by_name(variable: str) -> tuple[bool, str]:
    return _ABOUT_THINKING.search(variable) is None, variable


def _candidates(
    runs: TrialRuns, variables: frozenset[str], shapes: ContentShapes
) -> tuple[list[str], dict[str, set[str]]]:
    """The variables that are read as truth values only, and those that are compared with words, with the words.

    Those about thinking by name come first.
    """
    asked: set[str] = set()
    printed: set[str] = set()
    words: dict[str, set[str]] = {}
    levels: set[str] = set()
    for messages, given in _thinking_conversations(shapes):
        unknown = {name: Unknown(frozenset({name})) for name in variables if not name.endswith("_token")}
        outcome = runs.run(messages, **{**given, "add_generation_prompt": True, **unknown})
        asked |= outcome.questions.truths & unknown.keys()
        printed |= {piece.source for piece in outcome.pieces}
        for name in outcome.questions.compared.keys() & unknown.keys():
            constants = outcome.questions.compared[name]
            levels |= {name} if any(map(_is_number, constants)) else set()
            words.setdefault(name, set()).update(constant for constant in constants if isinstance(constant, str))
    several = {name: found for name, found in words.items() if len(found) > 1 and name not in levels | printed}
    return sorted(asked - levels - printed, key=_by_name), several


def _is_number(constant: object) -> bool:
    return isinstance(constant, (int, float))


def _thinking_conversations(shapes: ContentShapes) -> list[tuple[list[Message], dict[str, Any]]]:
    openings = shapes.openings()
    return [*((messages, {}) for messages in openings), (openings[0], {"tools": trial_messages.tools()})]


def _prompt(runs: TrialRuns, messages: list[Message], given: dict[str, Any], setting: dict[str, Setting]) -> Outcome:
    return runs.run(messages, **{**given, "add_generation_prompt": True, **setting})


def _opposites(runs: TrialRuns, variable: str, words: list[str], shapes: ContentShapes) -> tuple[str, str] | None:
    """The word that asks for thinking at the end of the prompt, and the one that asks for none.

    None if several do: then they are levels.
    """
    for messages, given in _thinking_conversations(shapes):
        outcomes = {word: _prompt(runs, messages, given, {variable: word}) for word in words}
        scores = {
            word: thinking_tags.thinking_score("", _ending(outcome.pieces))[0]
            for word, outcome in outcomes.items()
            if not outcome.failed
        }
        most = [word for word, score in scores.items() if score == max(scores.values())]
        least = [word for word, score in scores.items() if score == min(scores.values())]
        if len(most) == len(least) == 1 and most != least:
            return most[0], least[0]
    named = _ABOUT_THINKING.search(variable) is not None
    return next((pair for pair in OPPOSITES if named and {*pair} <= {*words}), None)


def _judged(runs: TrialRuns, variable: str, values: tuple[Setting, Setting], shapes: ContentShapes) -> Judged | None:
    """What the variable does with these two values; None if it changes nothing about thinking."""
    for messages, given in _thinking_conversations(shapes):
        if runs.are_over:
            return None
        settings: dict[str, dict[str, Setting]] = {"one": {variable: values[0]}, "two": {variable: values[1]}}
        outcomes = {
            name: _prompt(runs, messages, given, setting) for name, setting in {**settings, "unset": {}}.items()
        }
        if outcomes["one"].failed or outcomes["two"].failed:
            continue
        texts = {name: _literal(outcome.pieces) for name, outcome in outcomes.items()}
        tags_change = thinking_tags.tags_in(texts["one"]) != thinking_tags.tags_in(texts["two"])
        about_thinking = _ABOUT_THINKING.search(variable) is not None
        says_change = thinking_tags.sayings_in(texts["one"]) != thinking_tags.sayings_in(texts["two"])
        words_change = values in OPPOSITES and texts["one"] != texts["two"]
        if not (tags_change or (about_thinking and (says_change or words_change))):
            continue
        scores = {
            name: thinking_tags.thinking_score(texts[name], _ending(outcome.pieces))
            for name, outcome in outcomes.items()
        }
        on, off = ("one", "two") if scores["one"] >= scores["two"] else ("two", "one")
        is_off = texts["unset"] == texts[off] or scores["unset"] <= min(scores.values())
        default = texts["unset"] == texts[on] or not is_off
        found = FoundToggle(variable, default, settings[on][variable], settings[off][variable])
        return (scores["one"][0] != scores["two"][0], about_thinking, int(tags_change)), found
    return None

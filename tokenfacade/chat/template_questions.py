"""Questions about a template, answered by trial runs on conversations of the right shapes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tokenfacade.chat import thinking_tags, trial_messages
from tokenfacade.chat.jinja_symbols import Piece, Unknown, words_of
from tokenfacade.chat.jinja_trial import Outcome, TrialNode, run_trial
from tokenfacade.chat.trial_messages import (
    ARGUMENT_WORDS,
    DOCUMENT_WORDS,
    FOCUS_WORDS,
    PART_WORDS,
    ROLES,
    TOOL_WORDS,
    VALUE_WORDS,
    Message,
)

TOTAL_FUEL = 300_000
"""Steps for all trial runs of one template: some seconds at worst; the largest real templates take a fifth of it."""

FUEL_OF_RUN = 25_000

MOST_TYPES = 32
"""Types of parts that are tried out."""

MOST_TOGGLES = 8
"""Variables that are tried out as toggles."""

TEXT_TYPES = frozenset({"type", "text", "input_text", "output_text", "refusal", "content", "index", "id"})

_PICTURED = re.compile(r"image|img|vision|picture", re.IGNORECASE)
_ABOUT_THINKING = re.compile(r"think|thought|reason", re.IGNORECASE)


class TrialRuns:
    """Runs of one template, which share their fuel.

    Attributes:
        background: Arguments of all runs.
    """

    def __init__(self, tree: TrialNode, builtins: frozenset[str]) -> None:
        self.background: dict[str, Any] = {}
        self._tree = tree
        self._builtins = builtins
        self._fuel = TOTAL_FUEL

    def run(self, messages: list[Message], **arguments: Any) -> Outcome:
        """What comes of these messages, with the arguments that rendering sets."""
        given = {"tools": None, "documents": None, "add_generation_prompt": False, **self.background, **arguments}
        fuel = max(0, min(self._fuel, FUEL_OF_RUN))
        outcome = run_trial(self._tree, {"messages": messages, **given}, self._builtins, fuel=fuel)
        self._fuel -= outcome.steps
        return outcome


@dataclass(frozen=True, slots=True)
class ContentShapes:
    """Which roles' content may be a list of parts, and which may be a string."""

    part_roles: frozenset[str]
    string_roles: frozenset[str]
    mapping_roles: frozenset[str]

    def others(self) -> dict[str, Message]:
        """Messages by role, in the shape that the template takes."""
        return _messages(as_parts="user" in self.part_roles - self.string_roles)

    def openings(self) -> list[list[Message]]:
        """Conversations in which it is the model's turn."""
        others = self.others()
        return [[others["user"]], [others["system"], others["user"]]]


def _messages(*, as_parts: bool) -> dict[str, Message]:
    roles = ("system", "user", "assistant")
    if as_parts:
        return {role: trial_messages.message(role, [trial_messages.text_part(role)]) for role in roles}
    return {role: trial_messages.message(role) for role in roles}


def content_shapes(runs: TrialRuns, variables: frozenset[str]) -> ContentShapes:
    """Tries a string and a list of two texts as the content of each role, and puts into all runs what they need.

    That is nothing, or for the few templates that fail without, tools, or other arguments.
    """
    unknown = {name: Unknown() for name in variables if not name.endswith("_token")}
    for background in ({}, {"tools": trial_messages.tools()}, unknown):
        runs.background = background
        shapes = _content_shapes(runs)
        if "user" in shapes.part_roles | shapes.string_roles:
            break
    return shapes


def _content_shapes(runs: TrialRuns) -> ContentShapes:
    two_texts = [trial_messages.text_part("first"), trial_messages.text_part("second")]
    one_text = [trial_messages.text_part("first")]
    part_roles = set()
    string_roles = set()
    for role in ROLES:
        if _comes_out(runs, trial_messages.message(role, words_of(FOCUS_WORDS)), {FOCUS_WORDS}):
            string_roles.add(role)
        if _comes_out(runs, trial_messages.message(role, two_texts), {"first", "second"}) or (
            role not in string_roles and _comes_out(runs, trial_messages.message(role, one_text), {"first"})
        ):
            part_roles.add(role)
    if _prints_parts_of_calls(runs, two_texts):
        part_roles.discard("assistant")
    result = trial_messages.message("tool", {"place": words_of(FOCUS_WORDS)})
    mapping_roles = {"tool"} if _comes_out(runs, result, {FOCUS_WORDS}) else set()
    return ContentShapes(frozenset(part_roles), frozenset(string_roles), frozenset(mapping_roles))


def _prints_parts_of_calls(runs: TrialRuns, parts: list[Message]) -> bool:
    """Whether an assistant's parts come out as a Python repr if it calls a tool, as with Kimi K2."""
    message = trial_messages.calling_message({"place": words_of(ARGUMENT_WORDS)}, parts)
    return any("repr" in _forms(outcome, "first") for outcome in _outcomes_around(runs, message))


def _comes_out(runs: TrialRuns, message: Message, sources: set[str]) -> bool:
    """Whether all words of the message come out as they are, in one of its usual places."""
    as_json = message["role"] == "tool" and not isinstance(message["content"], list)
    fitting = {"plain", "json"} if as_json else {"plain"}
    return any(
        not outcome.failed and all(_forms(outcome, source) and _forms(outcome, source) <= fitting for source in sources)
        for outcome in _outcomes_around(runs, message)
    )


def _outcomes_around(runs: TrialRuns, message: Message, **arguments: Any) -> Iterator[Outcome]:
    for as_parts in (isinstance(message["content"], list), not isinstance(message["content"], list)):
        others = _messages(as_parts=as_parts)
        for conversation in trial_messages.conversations_around(message, others):
            yield runs.run(conversation, **arguments)


def _forms(outcome: Outcome, source: str) -> set[str]:
    return {piece.form for piece in outcome.pieces if piece.source == source}


def supports_tools(runs: TrialRuns, shapes: ContentShapes) -> bool:
    """Whether what a tool says comes out, in any form."""
    outcomes = (runs.run(messages, tools=trial_messages.tools()) for messages in shapes.openings())
    return any(not outcome.failed and _forms(outcome, TOOL_WORDS) for outcome in outcomes)


def supports_documents(runs: TrialRuns, shapes: ContentShapes) -> bool:
    """Whether what a document says comes out, in any form."""
    outcomes = (
        runs.run(messages, documents=trial_messages.documents(), **given)
        for given in ({}, {"tools": trial_messages.tools()})
        for messages in shapes.openings()
    )
    return any(not outcome.failed and _forms(outcome, DOCUMENT_WORDS) for outcome in outcomes)


@dataclass(frozen=True, slots=True)
class ArgumentShapes:
    """Whether a tool call's arguments come out unharmed as a mapping, and as JSON text."""

    mapping: bool
    text: bool


def tool_arguments(runs: TrialRuns, shapes: ContentShapes) -> ArgumentShapes:
    """Tries a mapping and a text as the arguments of a tool call."""
    words = words_of(ARGUMENT_WORDS)
    return ArgumentShapes(
        mapping=_arguments_come_out(runs, shapes, {"place": words}, {"plain", "json"}),
        text=_arguments_come_out(runs, shapes, words, {"plain"}),
    )


def _arguments_come_out(runs: TrialRuns, shapes: ContentShapes, arguments: Any, fitting: set[str]) -> bool:
    as_parts = "assistant" in shapes.part_roles - shapes.string_roles
    words = [trial_messages.text_part("assistant")] if as_parts else words_of("assistant")
    messages = [trial_messages.calling_message(arguments, content) for content in (words, "", None)]
    without_content = {key: value for key, value in messages[0].items() if key != "content"}
    for message in (*messages, without_content):
        for conversation in trial_messages.conversations_around(message, shapes.others()):
            for given in ({}, {"tools": trial_messages.tools()}):
                outcome = runs.run(conversation, **given)
                forms = _forms(outcome, ARGUMENT_WORDS)
                if not outcome.failed and forms:
                    return forms <= fitting
    return False


def part_types(runs: TrialRuns, shapes: ContentShapes) -> frozenset[str]:
    """The types of parts that the template tells from one that nobody knows, and doesn't refuse."""
    found: set[str] = set()
    for role in sorted(shapes.part_roles):
        unknown = _first_outcome(runs, role, words_of(PART_WORDS))
        types = {kind for kind in unknown.questions.compared.get(PART_WORDS, ()) if isinstance(kind, str)}
        asked = unknown.questions.keys | types
        nobody_knows = _first_outcome(runs, role, "a type that nobody knows")
        for kind in sorted(asked - TEXT_TYPES - found)[:MOST_TYPES]:
            outcome = _first_outcome(runs, role, kind)
            printed_as_text = kind not in types and _forms(outcome, VALUE_WORDS)
            if _differs(outcome, nobody_knows) and not printed_as_text:
                found.add(kind)
        if not found and not nobody_knows.failed and _PICTURED.search(_added_text(runs, role, nobody_knows)):
            found.add("image")
    return frozenset(found)


def _differs(outcome: Outcome, from_outcome: Outcome) -> bool:
    return not outcome.failed and (from_outcome.failed or outcome.pieces != from_outcome.pieces)


def _first_outcome(runs: TrialRuns, role: str, kind: Any) -> Outcome:
    """The first conversation with such a part that isn't refused."""
    parts = [trial_messages.part_of_type(kind), trial_messages.text_part("first")] if kind else []
    outcomes = list(_outcomes_around(runs, trial_messages.message(role, parts or [trial_messages.text_part("first")])))
    return next((outcome for outcome in outcomes if not outcome.failed), outcomes[0])


def _added_text(runs: TrialRuns, role: str, outcome: Outcome) -> str:
    without = "".join(piece.literal for piece in _first_outcome(runs, role, None).pieces)
    text = "".join(piece.literal for piece in outcome.pieces)
    start = next((at for at, pair in enumerate(zip(text, without, strict=False)) if pair[0] != pair[1]), len(without))
    return text[start : start + max(0, len(text) - len(without))]


@dataclass(frozen=True, slots=True)
class FoundToggle:
    """A variable that switches thinking, whether it is on without it, and the value that switches it on."""

    variable: str
    default: bool
    on: bool


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
    return "".join(piece.literal for piece in pieces if piece.expected)


def thinking_toggle(runs: TrialRuns, variables: frozenset[str], shapes: ContentShapes) -> FoundToggle | None:
    """The variable whose truth changes what the prompt says about thinking, most of all at its end."""
    best: tuple[tuple[bool, bool, int], FoundToggle] | None = None
    for variable in _truths(runs, variables, shapes)[:MOST_TOGGLES]:
        judged = _judged(runs, variable, shapes)
        if judged is not None and (best is None or judged[0] > best[0]):
            best = judged
    return None if best is None else best[1]


def _truths(runs: TrialRuns, variables: frozenset[str], shapes: ContentShapes) -> list[str]:
    """The variables that are read as truth values only; those about thinking by name first."""
    asked: set[str] = set()
    levels: set[str] = set()
    for messages, given in _thinking_conversations(shapes):
        unknown = {name: Unknown(frozenset({name})) for name in variables if not name.endswith("_token")}
        outcome = runs.run(messages, **{**given, "add_generation_prompt": True, **unknown})
        asked |= outcome.questions.truths & unknown.keys()
        levels |= {piece.source for piece in outcome.pieces}
        levels |= {name for name, constants in outcome.questions.compared.items() if any(map(_is_number, constants))}
    return sorted(asked - levels, key=lambda name: (_ABOUT_THINKING.search(name) is None, name))


def _is_number(constant: object) -> bool:
    return isinstance(constant, (int, float))


def _thinking_conversations(shapes: ContentShapes) -> list[tuple[list[Message], dict[str, Any]]]:
    openings = shapes.openings()
    return [*((messages, {}) for messages in openings), (openings[0], {"tools": trial_messages.tools()})]


def _judged(runs: TrialRuns, variable: str, shapes: ContentShapes) -> tuple[tuple[bool, bool, int], FoundToggle] | None:
    """How much of a toggle the variable is, and what it does; None if it changes nothing about thinking."""
    for messages, given in _thinking_conversations(shapes):
        settings: Mapping[str, dict[str, bool]] = {"on": {variable: True}, "off": {variable: False}, "unset": {}}
        outcomes = {
            name: runs.run(messages, **{**given, "add_generation_prompt": True, **setting})
            for name, setting in settings.items()
        }
        if outcomes["on"].failed or outcomes["off"].failed:
            continue
        texts = {name: _literal(outcome.pieces) for name, outcome in outcomes.items()}
        tags_change = thinking_tags.tags_in(texts["on"]) != thinking_tags.tags_in(texts["off"])
        about_thinking = _ABOUT_THINKING.search(variable) is not None
        says_change = thinking_tags.sayings_in(texts["on"]) != thinking_tags.sayings_in(texts["off"])
        if not (tags_change or (about_thinking and says_change)):
            continue
        scores = {
            name: thinking_tags.thinking_score(texts[name], _ending(outcome.pieces))
            for name, outcome in outcomes.items()
        }
        on = scores["on"] >= scores["off"]
        is_off = texts["unset"] == texts["off" if on else "on"] or scores["unset"] <= min(scores.values())
        found = FoundToggle(variable, texts["unset"] == texts["on" if on else "off"] or not is_off, on)
        return (scores["on"][0] != scores["off"][0], about_thinking, int(tags_change)), found
    return None

"""Questions about a template, answered by trial runs on conversations of the right shapes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tokenfacade.chat.trial import messages as trial_messages
from tokenfacade.chat.trial.messages import (
    ARGUMENT_WORDS,
    DOCUMENT_WORDS,
    FOCUS_WORDS,
    PART_WORDS,
    ROLES,
    TOOL_WORDS,
    VALUE_WORDS,
    Message,
)
from tokenfacade.chat.trial.run import Outcome, TrialNode, run_trial
from tokenfacade.chat.trial.symbols import Unknown, words_of

TOTAL_FUEL = 300_000
"""Steps for all trial runs of one template; the largest real templates take a fifth of it."""

TOTAL_SECONDS = 2.0
"""Processor time for all trial runs of one template, should its steps be slow; real templates take a tenth of it."""

FUEL_OF_RUN = 25_000

MOST_TYPES = 32
"""Types of parts that are tried out."""

TEXT_TYPES = frozenset({"type", "text", "input_text", "output_text", "refusal", "content", "index", "id"})

_PICTURED = re.compile(r"image|img|vision|picture", re.IGNORECASE)


class TrialRuns:
    """Runs of one template, which share their fuel and their time.

    Attributes:
        background: Arguments of all runs.
    """

    def __init__(self, tree: TrialNode, builtins: frozenset[str]) -> None:
        self.background: dict[str, Any] = {}
        self._tree = tree
        self._builtins = builtins
        self._fuel = TOTAL_FUEL
        self._deadline = time.thread_time() + TOTAL_SECONDS

    @property
    def are_over(self) -> bool:
        """Whether nothing is left of the fuel or the time: what runs then finds nothing."""
        return self._fuel <= 0 or time.thread_time() >= self._deadline

    def run(self, messages: list[Message], **arguments: Any) -> Outcome:
        """What comes of these messages, with the arguments that rendering sets."""
        given = {"tools": None, "documents": None, "add_generation_prompt": False, **self.background, **arguments}
        fuel = 0 if self.are_over else min(self._fuel, FUEL_OF_RUN)
        arguments = {"messages": messages, **given}
        outcome = run_trial(self._tree, arguments, self._builtins, fuel=fuel, deadline=self._deadline)
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
    if not isinstance(message["content"], list):
        fitting.add("unknown")
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
    """Whether what a document says comes out, in any form, under whatever key the template looks for it."""
    for given in ({}, {"tools": trial_messages.tools()}):
        for messages in shapes.openings():
            asked: frozenset[str] = frozenset()
            for _ in range(2):
                outcome = runs.run(messages, documents=trial_messages.documents(asked), **given)
                if not outcome.failed and _forms(outcome, DOCUMENT_WORDS):
                    return True
                asked = frozenset(outcome.questions.keys)
    return False


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

"""What a template expects, found out from its syntax tree.

The tree is run on conversations whose words are unknown (see `trial.run`), so the answers hold for any words, and say
what the template does, not how it is spelled: aliases, macros and loops over parts of the messages are followed as they
run. Nothing is rendered, and the steps and their time are limited.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from jinja2 import TemplateError, meta, nodes

from tokenfacade.chat import jinja_environment
from tokenfacade.chat.arguments import RESERVED, SPECIAL_TOKENS
from tokenfacade.chat.trial import questions, thinking
from tokenfacade.chat.trial.questions import ContentShapes, TrialRuns
from tokenfacade.errors import TemplateSyntaxError

ContentFormat = Literal["string", "openai"]
"""Content as one string, or as a list of ``{"type": ..., ...}`` parts."""

ToolArguments = Literal["mapping", "text"]
"""The arguments of a tool call as an object, or as its JSON text."""

SET_BY_RENDERING = frozenset({"messages", "tools", "documents", "add_generation_prompt"})
"""Variables that rendering sets itself, whatever else the caller passes."""


@dataclass(frozen=True, slots=True)
class ThinkingToggle:
    """The keyword argument that switches thinking on and off.

    Attributes:
        variable: Its name, such as ``"enable_thinking"`` or ``"thinking"``.
        default: Whether thinking is on when it isn't given, or at least not switched off.
        on: The value that switches thinking on: True, False for one such as ``disable_thinking``, or a word, such as
            ``"enabled"``.
        off: The value that switches it off.
    """

    variable: str
    default: bool
    on: bool | str = True
    off: bool | str = False


@dataclass(frozen=True, slots=True)
class TemplateTraits:
    """What a template expects of messages and arguments, and what it does with them.

    Attributes:
        content_format: ``"openai"`` if a user's content may be a list of parts: each of its texts reaches the prompt as
            it is. ``"string"`` otherwise.
        requires_parts: A user's content must be a list of parts: a string would be refused, ignored or cut up.
        part_roles: The roles of system, developer, user, assistant and tool whose content may be a list of parts, also
            in messages that call tools.
        string_roles: Those whose content may be a string. A role in neither isn't known to the template.
        mapping_roles: Those whose content may be a mapping: the tool's, where its result comes out as JSON.
        part_types: The types of parts other than text that it handles, such as ``"image"``.
        thinking: The argument that switches thinking on and off; None without one. An argument with levels, such as
            ``reasoning_effort``, isn't one, nor is one that only says whether earlier thoughts are repeated.
        opens_thinking: A generation prompt with default arguments ends inside an open thinking tag.
        supports_tools: What `tools` say reaches the prompt.
        supports_documents: What `documents` say reaches the prompt.
        supports_system_role: What a system message says reaches the prompt.
        tool_arguments: What the arguments of a tool call should be: ``"mapping"`` where both would do, or neither.
        either_arguments: They may be a mapping or JSON text; then `tool_arguments` is ``"mapping"``.
        has_generation_blocks: It marks what the model says with ``{% generation %}``.
        variables: What else it reads, and a caller may set: neither what rendering sets, nor special tokens, nor what
            the template sets itself without asking whether it is there.
    """

    content_format: ContentFormat
    part_types: frozenset[str]
    thinking: ThinkingToggle | None
    opens_thinking: bool
    supports_tools: bool
    supports_documents: bool
    supports_system_role: bool
    tool_arguments: ToolArguments
    has_generation_blocks: bool
    variables: frozenset[str]
    requires_parts: bool = False
    part_roles: frozenset[str] = frozenset()
    string_roles: frozenset[str] = frozenset({"system", "user", "assistant", "tool"})
    mapping_roles: frozenset[str] = frozenset()
    either_arguments: bool = False


@lru_cache(maxsize=jinja_environment.MOST_COMPILED)
def inspect_template(text: str) -> TemplateTraits:
    """What the template expects.

    The first time it takes 5 to 200 ms for each template; the answer is kept.

    Raises:
        TemplateSyntaxError: The text is not a template.

    Example:
        >>> traits = inspect_template("{% for message in messages %}{{ message.content }}{% endfor %}")
        >>> traits.content_format, traits.supports_system_role, traits.supports_tools
        ('string', True, False)
    """
    tree = _parse(text)
    builtins = frozenset(tree.environment.globals) if tree.environment is not None else frozenset()
    variables = _undeclared(tree) - builtins - SET_BY_RENDERING
    runs = TrialRuns(tree, builtins)
    shapes = questions.content_shapes(runs, variables)
    arguments = questions.tool_arguments(runs, shapes)
    return TemplateTraits(
        content_format="openai" if "user" in shapes.part_roles else "string",
        part_types=questions.part_types(runs, shapes),
        thinking=_toggle(runs, variables, shapes),
        opens_thinking=thinking.opens_thinking(runs, shapes),
        supports_tools=questions.supports_tools(runs, shapes),
        supports_documents=questions.supports_documents(runs, shapes),
        supports_system_role="system" in shapes.part_roles | shapes.string_roles,
        tool_arguments="text" if arguments.text and not arguments.mapping else "mapping",
        has_generation_blocks=any(_is_generation(block) for block in tree.find_all(nodes.CallBlock)),
        variables=_arguments(tree, variables),
        requires_parts="user" in shapes.part_roles - shapes.string_roles,
        part_roles=shapes.part_roles,
        string_roles=shapes.string_roles,
        mapping_roles=shapes.mapping_roles,
        either_arguments=arguments.mapping and arguments.text,
    )


def _parse(text: str) -> nodes.Template:
    return jinja_environment.parse_template(text)


def _undeclared(tree: nodes.Template) -> frozenset[str]:
    try:
        return frozenset(meta.find_undeclared_variables(tree))
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise TemplateSyntaxError(f"not a chat template: {error.message}", line=line) from error
    except RecursionError as error:
        raise TemplateSyntaxError("not a chat template: it is nested too deeply") from error


def _arguments(tree: nodes.Template, variables: frozenset[str]) -> frozenset[str]:
    """The variables that a caller may set: not the options of calls, and what the template sets itself only if it asks
    first whether it is there."""
    is_set = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    asked: set[nodes.Expr | None] = {
        test.node for test in tree.find_all(nodes.Test) if test.name in ("defined", "undefined", "none")
    }
    asked |= {filtered.node for filtered in tree.find_all(nodes.Filter) if filtered.name in ("default", "d")}
    names_asked = {node.name for node in asked if isinstance(node, nodes.Name)}
    return variables - RESERVED - SPECIAL_TOKENS - (is_set - names_asked)


def _toggle(runs: TrialRuns, variables: frozenset[str], shapes: ContentShapes) -> ThinkingToggle | None:
    found = thinking.thinking_toggle(runs, variables, shapes)
    return None if found is None else ThinkingToggle(found.variable, found.default, found.on, found.off)


def _is_generation(block: nodes.CallBlock) -> bool:
    called: Any = block.call.node
    return isinstance(called, nodes.ExtensionAttribute) and called.name == "_generation_support"

"""The one place where Jinja environments are built and chat templates compiled, with the settings of transformers.

White space around blocks is trimmed, ``break`` and ``continue`` work, ``{% generation %}`` marks what the model says,
and everything runs in the sandbox (transformers 5.23, ``utils/chat_template_utils.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jinja2 import Template, nodes, pass_context
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.exceptions import TemplateSyntaxError as JinjaSyntaxError
from jinja2.ext import Extension, LoopControlExtension

from tokenfacade.chat import jinja_filters
from tokenfacade.chat.jinja_filters import RaisedByTemplate
from tokenfacade.chat.jinja_runtime import ChatContext, new_context
from tokenfacade.chat.jinja_sandbox import ChatEnvironment
from tokenfacade.chat.limits import Budget, TemplateLimits
from tokenfacade.errors import (
    ChatTemplateError,
    RenderFailure,
    TemplateLimitError,
    TemplateRenderError,
    TemplateSyntaxError,
)

if TYPE_CHECKING:
    from jinja2.parser import Parser
    from jinja2.runtime import Macro

MOST_COMPILED = 256
"""Templates that stay compiled; each takes some 100 kB, and 1 to 40 ms to compile again."""

MAX_TEMPLATE = 2**16
"""Characters of a template: twice the longest in use. More would take seconds to compile."""

_HUGE_NUMBER = re.compile("0[xob][0-9a-f_]{20000}", re.IGNORECASE)
_FILE_NAME = "<template>"
_PIECES_AT_A_TIME = 4096


class GenerationTag(Extension):
    """``{% generation %}…{% endgeneration %}`` around what the model says."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_generation_support"), [], [], body).set_lineno(line)

    @pass_context
    def _generation_support(self, context: ChatContext, caller: Macro) -> str:
        return context.generation(caller())


def build_environment(kind: type[ChatEnvironment] = ChatEnvironment) -> ChatEnvironment:
    """An environment for chat templates."""
    # Not optimized: folding constants takes the cube of the depth to which they are nested.
    environment = kind(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, LoopControlExtension], optimized=False
    )
    jinja_filters.set_up(environment)
    return environment


def parse_template(text: str) -> nodes.Template:
    """The syntax tree of a template.

    Raises:
        TemplateSyntaxError: It is none.
    """
    return _refusing(_environment(ChatEnvironment).parse, text)  # type: ignore[no-any-return]


@lru_cache(maxsize=MOST_COMPILED)
def compile_template(text: str, kind: type[ChatEnvironment] = ChatEnvironment) -> CompiledTemplate:
    """Compile a template, once for each text.

    Raises:
        TemplateSyntaxError: It is none.
    """
    return CompiledTemplate(_refusing(_environment(kind).from_string, text), text)  # type: ignore[arg-type]


@lru_cache
def _environment(kind: type[ChatEnvironment]) -> ChatEnvironment:
    return build_environment(kind)


def _refusing(make: Callable[[str], Any], text: str) -> Any:
    if len(text) > MAX_TEMPLATE:
        raise TemplateSyntaxError(f"not a chat template: it has more than {MAX_TEMPLATE} characters")
    if _HUGE_NUMBER.search(text):
        raise TemplateSyntaxError("not a chat template: there is a number of more than 20000 digits in it")
    try:
        return make(text)
    except JinjaSyntaxError as error:
        raise TemplateSyntaxError(
            f"not a chat template: {error.message} (line {error.lineno})", line=error.lineno
        ) from error
    except (RecursionError, MemoryError) as error:
        raise TemplateSyntaxError("not a chat template: it is nested too deeply") from error
    except (SyntaxError, ValueError, TypeError, OverflowError) as error:
        raise TemplateSyntaxError(f"not a chat template: {error}") from error


class CompiledTemplate:
    """A template that is ready to run, and may in any number of threads at once."""

    __slots__ = ("_common", "_environment", "_eval_context", "_template")

    def __init__(self, template: Template, text: str) -> None:
        self._template = template
        self._environment: Any = template.environment
        self._common = dict(template.globals)
        # All renderings can share one, but for templates that switch escaping on and off.
        self._eval_context = None if "autoescape" in text else nodes.EvalContext(template.environment, template.name)

    def render(
        self,
        variables: dict[str, Any],
        *,
        limits: TemplateLimits,
        clock: Callable[[], datetime],
        name: str | None,
    ) -> str:
        """The text that the template makes of the variables.

        Raises:
            TemplateRenderError: It failed.
            TemplateLimitError: It took too much.
        """
        budget = Budget(limits)
        try:
            return _joined(self.pieces(self.context(variables, budget, clock)), budget)
        except Exception as error:
            raise self.failure(error, name) from error

    def context(self, variables: dict[str, Any], budget: Budget, clock: Callable[[], datetime]) -> ChatContext:
        """The context for one rendering."""
        return new_context(
            self._environment, self._template, self._common, self._eval_context, variables, budget, clock
        )

    def pieces(self, context: ChatContext) -> Iterator[str]:
        """The text in pieces, as the template gives it out."""
        return self._template.root_render_func(context)

    def failure(self, error: Exception, name: str | None) -> ChatTemplateError:
        """What an exception while rendering means to the caller."""
        which = f"the chat template {name!r}" if name else "the chat template"
        if isinstance(error, TemplateLimitError):
            return TemplateLimitError(str(error), template=name)
        if isinstance(error, ChatTemplateError):
            return error
        if isinstance(error, RecursionError | MemoryError | OverflowError):
            what = {RecursionError: "recurses too deeply", MemoryError: "takes too much memory"}.get(type(error))
            return TemplateLimitError(f"{which} {what or f'counts too far: {error}'}", template=name)
        line = self._line(error.__traceback__)
        where = f" at line {line}" if line else ""
        if isinstance(error, RaisedByTemplate):
            message = f"{which} refuses these messages: {error}"
        else:
            message = f"{which} fails{where}: {type(error).__name__}: {error}"
        return TemplateRenderError(message, template=name, line=line, reason=_reason(error))

    def _line(self, traceback: TracebackType | None) -> int | None:
        line = None
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == _FILE_NAME:
                line = self._template.get_corresponding_lineno(traceback.tb_lineno)
            traceback = traceback.tb_next
        return line


def _joined(pieces: Iterator[str], budget: Budget) -> str:
    parts: list[str] = []
    size = 0
    while some := list(islice(pieces, _PIECES_AT_A_TIME)):
        size += sum(map(len, some))
        budget.check_output(size)
        parts.append("".join(some))
    return parts[0] if len(parts) == 1 else "".join(parts)


def _reason(error: Exception) -> RenderFailure:
    if isinstance(error, RaisedByTemplate):
        return "raised"
    if isinstance(error, UndefinedError):
        return "undefined"
    return "forbidden" if isinstance(error, SecurityError) else "other"

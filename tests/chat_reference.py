"""What transformers makes of a chat, and how its errors correspond to ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any
from unittest import mock

from jinja2.exceptions import SecurityError, TemplateError, UndefinedError

from tokenfacade import ChatTemplate
from tokenfacade.errors import ChatTemplateError, ConfigurationError, TemplateRenderError, TemplateSyntaxError

MOMENT = datetime(2025, 3, 14, 15, 9, 26)
"""The time for ``strftime_now`` on both sides."""

Outcome = tuple[str, str]
"""``("text", the prompt)`` or ``("error", which kind)``."""


class _StoppedClock(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return MOMENT


@lru_cache
def _tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=Tokenizer(WordLevel({}, unk_token=""))
    )


def reference_chat(template: str, messages: Any, **arguments: Any) -> Outcome:
    """The prompt by `apply_chat_template` of transformers."""

    def render() -> str:
        with mock.patch("transformers.utils.chat_template_utils.datetime", _StoppedClock):
            tokenizer = _tokenizer()
            return str(tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **arguments))

    return reference_outcome(render)


def reference_template(template: str, variables: dict[str, Any]) -> Outcome:
    """The text by the Jinja environment of transformers, without anything done to messages."""
    from transformers.utils.chat_template_utils import _cached_compile_jinja_template

    return reference_outcome(lambda: _cached_compile_jinja_template(template).render(**variables))


def reference_outcome(render: Callable[[], str]) -> Outcome:
    from jinja2.exceptions import TemplateSyntaxError as JinjaSyntaxError

    try:
        return "text", render()
    except (JinjaSyntaxError, SyntaxError):
        return "error", "syntax"
    except UndefinedError:
        return "error", "undefined"
    except SecurityError:
        return "error", "forbidden"
    except TemplateError as error:
        return "error", "raised" if type(error) is TemplateError else "other"
    except Exception:
        return "error", "other"


def our_chat(template: str, messages: Any, **arguments: Any) -> Outcome:
    """The prompt by `ChatTemplate.render`, and what kind of error it is in the reference's terms."""
    try:
        return "text", ChatTemplate(template, clock=lambda: MOMENT).render(messages, **arguments)
    except TemplateSyntaxError:
        return "error", "syntax"
    except TemplateRenderError as error:
        return "error", "other" if error.reason == "content" else error.reason
    except (ChatTemplateError, ConfigurationError):
        return "error", "other"


ANY_MESSAGES: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Hi"}],
    "tools": None,
    "documents": None,
    "add_generation_prompt": False,
}
"""The variables that `ChatTemplate.render` always gives, for templates that read others."""


def our_template(template: str, variables: dict[str, Any]) -> Outcome:
    """The text of a template whose variables go in as keyword arguments."""
    return our_chat(template, **{**ANY_MESSAGES, **variables})

"""What a template comes to here and in transformers' own sandbox, in terms that can be compared."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import jinja2
from transformers.utils.chat_template_utils import _compile_jinja_template, _plain_template_data

from tokenfacade import ChatTemplate, TemplateLimitError, TemplateRenderError, TemplateSyntaxError

ESCAPES = (Path(__file__).parent / "chat_escapes.txt").read_text(encoding="utf-8").splitlines()
"""One template a line: known ways out of Jinja's sandbox, and what stands around them."""

MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be kind."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "Hi {0.__class__} %s"}, {"type": "image", "image": "cat.png"}],
        "items": "a key that is a method too",
        "_private": "a private key",
        "__class__": "a key with underscores",
        "count": 3,
    },
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1, "update": None}}}],
        "flag": False,
        "zero": 0,
        "nothing": [],
    },
]

_NAMES = {"ChatNamespace": "TemplateNamespace", "function lipsum": "function generate_lorem_ipsum"}

Outcome = tuple[str, str]
"""What sort of end it came to, and the text if it is one."""

_ADDRESS = re.compile(r"0x[0-9a-f]{4,}", re.IGNORECASE)
_HOMES = re.compile(
    r"transformers\.utils\.chat_template_utils\.|_cached_compile_jinja_template\.(?:<|&lt;)locals(?:>|&gt;)\."
    r"|tokenfacade\.chat\.jinja_\w+\.",
    re.IGNORECASE,
)


def here(template: str, /, *, messages: Any = MESSAGES, **variables: Any) -> Outcome:
    """What `ChatTemplate` makes of it."""
    random.seed(0)
    try:
        return "text", anonymous(ChatTemplate(template).render(messages, **variables))
    except TemplateSyntaxError:
        return "syntax", ""
    except TemplateLimitError:
        return "limit", ""
    except TemplateRenderError as error:
        return error.reason, ""


def there(template: str, /, *, messages: Any = MESSAGES, **variables: Any) -> Outcome:
    """What the sandbox of transformers makes of it."""
    random.seed(0)
    given = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": False, **variables}
    try:
        compiled = _compile_jinja_template(template)
    except (jinja2.exceptions.TemplateSyntaxError, SyntaxError):
        return "syntax", ""
    try:
        return "text", anonymous(compiled.render(**_plain_template_data(given)))
    except jinja2.exceptions.SecurityError:
        return "forbidden", ""
    except jinja2.exceptions.UndefinedError:
        return "undefined", ""
    except (RecursionError, MemoryError, OverflowError):
        return "limit", ""
    except Exception as error:
        return "raised" if type(error) is jinja2.exceptions.TemplateError else "other", ""


def anonymous(text: str) -> str:
    """A text without the addresses of objects, and with the same names for the same things."""
    text = _HOMES.sub("", _ADDRESS.sub("0x", text))
    for ours, theirs in _NAMES.items():
        text = text.replace(ours, theirs).replace(ours.upper(), theirs.upper())
    return text

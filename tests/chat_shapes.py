"""Templates that read contents in different ways, and checks of what shaping makes of a content."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tokenfacade.chat.content import shape_messages
from tokenfacade.chat.inspect import TemplateTraits, inspect_template
from tokenfacade.errors import TemplateRenderError

PRINTS = inspect_template(
    "{% for m in messages %}{{ '<' + m.role + '>' + m.content }}"
    "{% for call in m.tool_calls %}{{ call.function.name + call.function.arguments }}{% endfor %}{% endfor %}"
)
"""Prints the content, and the arguments of tool calls."""

READS_BOTH = inspect_template(
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "{% endif %}"
    "{% for call in m.tool_calls %}{% for k, v in call.function.arguments | items %}{{ k }}={{ v }}{% endfor %}"
    "{% endfor %}{% endfor %}"
)
"""Prints a string, reads parts and images, and reads the arguments of tool calls as a mapping."""

READS_PARTS = inspect_template(
    "{% for m in messages %}{% for part in m.content %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% elif part['type'] == 'image' %}<image>{% endif %}{% endfor %}{% endfor %}"
)
"""Reads nothing but parts."""

MAKES_JSON = inspect_template(
    "{% for m in messages %}{% if m.role == 'tool' %}{{ m.content | tojson }}{% else %}{{ m.content }}{% endif %}"
    "{% for call in m.tool_calls %}{% if call.function.arguments is string %}{{ call.function.arguments }}"
    "{% else %}{{ call.function.arguments | tojson }}{% endif %}{% endfor %}{% endfor %}"
)
"""Makes JSON of tool results, and of arguments that aren't JSON text."""

READS_PARTS_OF_USERS = inspect_template(
    "{% for m in messages %}{% if m.role == 'user' %}{% for part in m.content %}{{ part['text'] }}{% endfor %}"
    "{% else %}{{ '<' + m.role + '>' ~ m.content }}{% endif %}{% endfor %}"
)
"""Reads nothing but parts from users, and prints what others say."""


def text(value: object, **other: object) -> dict[str, Any]:
    return {"type": "text", "text": value, **other}


def shaped_content(content: object, traits: TemplateTraits, *, role: str = "user") -> Any:
    """The content of a message after shaping; what was given has not been touched."""
    messages: list[dict[str, Any]] = [{"role": role, "content": content}]
    before = repr(messages)
    shaped = shape_messages(messages, traits)
    assert repr(messages) == before
    assert {key: value for key, value in shaped[0].items() if key != "content"} == {"role": role}
    return shaped[0]["content"]


def knowing(*kinds: str) -> TemplateTraits:
    return dataclasses.replace(READS_BOTH, part_types=frozenset(kinds))


def refusal(content: object, traits: TemplateTraits) -> str:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    with pytest.raises(TemplateRenderError) as caught:
        shape_messages(messages, traits)
    assert caught.value.reason == "content"
    assert "message 1 " in str(caught.value)
    return str(caught.value)

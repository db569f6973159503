"""What Hypothesis draws chats from: messages of every shape that clients send, and some that none should."""

from __future__ import annotations

from typing import Any, Literal

from hypothesis import strategies as st

from tests.data import DATA
from tests.strategies import FRAGMENTS

TEMPLATES = sorted((DATA / "chat_templates").glob("*.jinja"))

template_texts = st.sampled_from(TEMPLATES).map(lambda path: path.read_text(encoding="utf-8"))
"""The published templates of the test data."""

_WORDS = (
    *FRAGMENTS,
    *(
        "",
        "Hi",
        "I",
        "OK! ",
        "OK!\n",
        " x ",
        "\r\n",
        "\t",
        "𝒳",
        "a\u0301",
        "\u2028",
        "\x85",
        "<think>",
        "</think>",
        "{{ x }}",
    ),
    *(
        "<|im_start|>system\n",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "<tool_call>",
        '"quoted"',
        "back\\slash",
        "'",
        "<&>",
        "%s",
        "{}",
    ),
    *("CONTINUE_FINAL_MESSAGE_TAG", "{% raw %}", "{#"),
)
chat_texts = st.one_of(
    st.sampled_from(_WORDS), st.lists(st.sampled_from(_WORDS), max_size=4).map("".join), st.text(max_size=12)
)
"""What people say, and what imitates a template."""

_scalars = st.one_of(chat_texts, st.none(), st.booleans(), st.integers(-3, 10**20), st.floats(allow_nan=False))
values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(chat_texts, inner, max_size=2), max_leaves=5
)
"""Any JSON value."""

_text_parts = st.fixed_dictionaries({"type": st.just("text"), "text": chat_texts})
_parts = st.one_of(
    _text_parts,
    _text_parts,
    _text_parts,
    st.just({"type": "image"}),
    st.fixed_dictionaries({"type": st.just("image_url"), "image_url": st.just({"url": "https://example.org/a.png"})}),
    st.sampled_from([{"type": "video", "video": "v"}, {"type": "audio"}, {"text": "no type"}, {"type": "text"}, {}]),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": chat_texts}),
    st.fixed_dictionaries({"type": st.just("text"), "text": values}),
    chat_texts,
)
contents = st.one_of(chat_texts, chat_texts, chat_texts, st.lists(_parts, max_size=3), st.none(), values)
"""What stands under ``content``."""

_schema = st.fixed_dictionaries(
    {
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {"name": st.sampled_from(["look", "add", "é"]), "description": chat_texts},
            optional={
                "parameters": st.fixed_dictionaries(
                    {"type": st.just("object")},
                    optional={
                        "properties": st.dictionaries(
                            st.sampled_from(["place", "n", "items"]),
                            st.fixed_dictionaries(
                                {"type": st.sampled_from(["string", "integer", ["string", "null"], "object", "array"])},
                                optional={"description": chat_texts, "enum": st.lists(chat_texts, max_size=2)},
                            ),
                            max_size=2,
                        ),
                        "required": st.lists(st.sampled_from(["place", "n"]), max_size=2),
                    },
                ),
                "return": st.just({"type": "string"}),
                "strict": st.booleans(),
            },
        ),
    }
)


def look(place: str, days: int = 3, kind: Literal["rain", "sun"] = "sun") -> dict[str, float]:
    """The weather of a place.

    Args:
        place: The name of the place, "Zürich" for example.
        days: How many days ahead.
        kind: What to look for. (choices: ["rain", "sun"])

    Returns:
        What is expected for each day.
    """
    raise NotImplementedError


tool_lists = st.none() | st.lists(st.one_of(_schema, _schema, st.just(look), values), max_size=2)
"""The tools of a request."""

_call = st.fixed_dictionaries(
    {
        "function": st.fixed_dictionaries(
            {"name": st.sampled_from(["look", "add"])},
            optional={
                "arguments": st.one_of(
                    st.dictionaries(st.sampled_from(["place", "n", "é"]), values, max_size=2),
                    st.sampled_from(["{}", '{"place": "Bern"}', '{"n": 1, "é": [1.5]}', "not json", ""]),
                )
            },
        )
    },
    optional={"id": st.sampled_from(["a1b2c3d4e", "call_1", "0"]), "type": st.just("function")},
)
_calls = st.lists(_call, max_size=2) | st.none() | st.lists(values, max_size=1)
_reasoning = {name: chat_texts | st.none() for name in ("reasoning_content", "thinking", "reasoning")}
_extras: dict[str, st.SearchStrategy[Any]] = {
    "name": chat_texts,
    "tool_calls": _calls,
    "tool_call_id": st.sampled_from(["a1b2c3d4e", "call_1"]),
    "prefix": st.booleans(),
    "items": values,
    "weight": values,
}


def _message(role: str, optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"role": st.just(role), "content": contents}, optional=optional)


_usual = st.one_of(
    _message("user", {"name": chat_texts}),
    _message("assistant", {"tool_calls": _calls, **_reasoning}),
    st.fixed_dictionaries({"role": st.just("assistant"), "tool_calls": st.lists(_call, min_size=1, max_size=2)}),
    _message("tool", {"name": st.just("look"), "tool_call_id": st.just("a1b2c3d4e")}),
)
_odd = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["developer", "ipython", "function", "", "USER", "observation", "é", "documents"]),
        "content": contents,
        **_reasoning,
        **_extras,
    },
)


def _in_turns(texts: list[str]) -> list[dict[str, Any]]:
    return [
        {"role": ("user", "assistant")[position % 2], "content": text} for position, text in enumerate(texts)
    ]  # what templates that insist on alternating roles take


_opening: st.SearchStrategy[list[dict[str, Any]]] = st.just([]) | st.lists(
    _message("system", {}), min_size=1, max_size=1
)
conversations: st.SearchStrategy[list[dict[str, Any]]] = st.one_of(
    st.builds(list.__add__, _opening, st.lists(chat_texts, min_size=1, max_size=5).map(_in_turns)),
    st.builds(list.__add__, _opening, st.lists(_usual, min_size=1, max_size=5)),
    st.lists(_usual | _odd, max_size=4),
)
"""The messages of a request."""

_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
_SWITCHES = (
    "enable_thinking",
    "thinking",
    "reasoning_effort",
    "tools_in_user_message",
    "date_string",
    "preserve_thinking",
)
template_variables = st.builds(
    dict.__or__,
    st.sampled_from([_SPECIAL, _SPECIAL, {}, {**_SPECIAL, "bos_token": None}]),
    st.dictionaries(
        st.sampled_from(_SWITCHES), st.booleans() | st.sampled_from(["high", None, 0]) | values, max_size=2
    ),
)
"""Arguments that only templates know."""

_documents = st.none() | st.lists(
    st.fixed_dictionaries({}, optional={"title": chat_texts, "text": chat_texts, "doc_id": values}), max_size=2
)
_endings = st.sampled_from([(False, False)] * 3 + [(True, False)] * 3 + [(False, True)])
_continued = st.sampled_from(["content", "reasoning_content", "thinking", "reasoning", "tool_calls", "name", "nothing"])


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Messages, and the other arguments of a call."""
    opens, continues = draw(_endings)
    arguments = draw(template_variables) | {"add_generation_prompt": opens}
    arguments["continue_final_message"] = draw(st.just(continues) | _continued if continues else st.just(continues))
    for name, strategy in (("tools", tool_lists), ("documents", _documents)):
        if (value := draw(strategy)) is not None:
            arguments[name] = value
    return draw(conversations), arguments


_final_contents = st.one_of(
    st.sampled_from(["", "I", "OK! ", "OK!\n", "Hi", " ", "\n"]),
    chat_texts,
    st.lists(_parts, max_size=3),
    st.sampled_from(
        [
            ["a text"],
            [{"text": None}],
            [{"text": "a"}, {"text": 5}],
            ({"type": "text", "text": "a "},),
            {"text": "a"},
            5,
        ]
    ),
)


@st.composite
def continued_requests(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Messages of which the last one is to go on, and the other arguments."""
    earlier = draw(st.lists(st.sampled_from(["I", "OK!", "Hi"]), min_size=1, max_size=3).map(_in_turns))
    final = {"role": draw(st.sampled_from(["assistant", "assistant", "user"])), "content": draw(_final_contents)}
    final |= draw(st.fixed_dictionaries({}, optional={**_reasoning, "tool_calls": _calls}))
    which = draw(st.sampled_from([True, True, "content"]) | _continued)
    return [*earlier, final], {**draw(template_variables), "continue_final_message": which}

"""Messages become what the template reads, and what no template can show is refused."""

from __future__ import annotations

import dataclasses
import types
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.chat_shapes import (
    PRINTS,
    READS_BOTH,
    READS_PARTS,
    READS_PARTS_OF_USERS,
    knowing,
    refusal,
    shaped_content,
    text,
)
from tokenfacade.chat.content import shape_messages
from tokenfacade.chat.inspect import inspect_template
from tokenfacade.errors import ConfigurationError, TemplateRenderError

if TYPE_CHECKING:
    from tokenfacade.chat.inspect import TemplateTraits

# Texts


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        ([text("one")], "one"),
        ([text("one"), text("two")], "one\ntwo"),
        (["one", "two"], "one\ntwo"),
        ((text("a tuple"),), "a tuple"),
        ([], ""),
        ([text("")], ""),
        ([text("x", cache_control={"type": "ephemeral"})], "x"),
        ([{"text": "no type"}], "no type"),
        (
            [{"type": "input_text", "text": "asked"}, {"type": "output_text", "text": "said", "annotations": []}],
            "asked\nsaid",
        ),
        ([{"type": "refusal", "refusal": "No."}], "No."),
        ([text(None), text("kept")], "kept"),
        ([types.MappingProxyType(text("any mapping"))], "any mapping"),
        ([text("世界 {'type': 'text'} \ud800")], "世界 {'type': 'text'} \ud800"),
    ],
)
@pytest.mark.parametrize("role", ["user", "system", "assistant", "tool", "critic"])
def test_texts_are_joined_by_line_breaks_for_a_template_that_prints_the_content(
    parts: Any, joined: str, role: str
) -> None:
    assert shaped_content(parts, PRINTS, role=role) == joined


@pytest.mark.parametrize("traits", [PRINTS, READS_BOTH])
@pytest.mark.parametrize("content", ["", "Hello", "[{'type': 'text'}]", 7, 0.5])
def test_strings_and_numbers_stay_for_a_template_that_prints_them(content: object, traits: TemplateTraits) -> None:
    assert shaped_content(content, traits) is content


def test_a_string_becomes_a_part_for_a_template_that_reads_nothing_else() -> None:
    assert shaped_content("Hello", READS_PARTS) == [text("Hello")]
    assert shaped_content("", READS_PARTS) == [text("")]


@pytest.mark.parametrize("traits", [READS_BOTH, READS_PARTS])
def test_parts_that_the_template_reads_stay_the_same_objects(traits: TemplateTraits) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [text("What is this?"), {"type": "image", "image": object()}]},
        {"role": "assistant", "content": [text("A cat.", cache_control={})]},
        {"role": "user", "content": []},
    ]
    assert shape_messages(messages, traits) is messages


@pytest.mark.parametrize("traits", [READS_BOTH, READS_PARTS])
def test_other_spellings_of_text_become_text_parts(traits: TemplateTraits) -> None:
    spelled = ["bare", {"type": "input_text", "text": "asked"}, {"type": "refusal", "refusal": "No."}, {"text": "x"}]
    assert shaped_content([*spelled, text(None)], traits) == [text("bare"), text("asked"), text("No."), text("x")]


@pytest.mark.parametrize("traits", [PRINTS, READS_BOTH, READS_PARTS])
@pytest.mark.parametrize("message", [{"role": "assistant"}, {"role": "assistant", "content": None}])
def test_no_content_stays_none(message: dict[str, Any], traits: TemplateTraits) -> None:
    messages = [message]
    assert shape_messages(messages, traits) is messages


@pytest.mark.parametrize("role", ["system", "assistant", "tool"])
def test_each_role_gets_what_the_template_reads_of_it(role: str) -> None:
    messages: list[Any] = [{"role": "user", "content": [text("one"), text("two")]}, {"role": role, "content": "three"}]
    assert shape_messages(messages, READS_PARTS_OF_USERS) is messages
    swapped: list[Any] = [{"role": "user", "content": "one"}, {"role": role, "content": [text("two"), text("three")]}]
    assert shape_messages(swapped, READS_PARTS_OF_USERS) == [
        {"role": "user", "content": [text("one")]},
        {"role": role, "content": "two\nthree"},
    ]


@pytest.mark.parametrize("role", ["critic", None, 7, ["user"]])
def test_a_role_that_nobody_knows_is_treated_as_the_user(role: Any) -> None:
    assert shaped_content("one", READS_PARTS_OF_USERS, role=role) == [text("one")]
    assert shaped_content([text("one")], PRINTS, role=role) == "one"


# Media


@pytest.mark.parametrize(
    ("known", "given", "becomes"),
    [
        ("image", "image_url", "image"),
        ("image", "input_image", "image"),
        ("image_url", "image", "image_url"),
        ("audio", "input_audio", "audio"),
        ("audio", "audio_url", "audio"),
        ("video", "video_url", "video"),
        ("image_url", "image_url", "image_url"),
        ("tool_reference", "tool_reference", "tool_reference"),
    ],
)
def test_media_take_the_type_that_the_template_knows_and_keep_what_is_in_them(
    known: str, given: str, becomes: str
) -> None:
    payload = {"url": "data:image/png;base64,AAAA"}
    part = {"type": given, given: payload, "detail": "low"}
    [shaped] = shaped_content([part], knowing(known))
    assert shaped == {**part, "type": becomes}
    assert shaped[given] is payload


def test_a_part_without_a_type_is_what_its_key_says() -> None:
    assert shaped_content([{"image_url": "u"}], knowing("image")) == [{"type": "image", "image_url": "u"}]


def test_the_first_known_type_of_a_medium_is_taken() -> None:
    assert shaped_content([{"type": "input_image"}], knowing("image_url", "image")) == [{"type": "image"}]


@pytest.mark.parametrize("kind", ["image", "image_url", "video", "file", "tool_use", "document"])
def test_what_a_template_that_prints_the_content_cannot_show_is_refused(kind: str) -> None:
    message = refusal([text("What is this?"), {"type": kind, kind: "x" * 100}], PRINTS)
    assert repr(kind) in message
    assert "it knows: text" in message
    assert "xxx" not in message


def test_the_error_says_which_role_a_type_is_taken_from() -> None:
    template = (
        "{% for m in messages %}{% if m.content is string or m.role != 'user' %}{{ m.content }}{% else %}"
        "{% for part in m.content %}{{ '<image>' if part.type == 'image' else part.text }}{% endfor %}"
        "{% endif %}{% endfor %}"
    )
    traits = inspect_template(template)
    for kind in ("image", "image_url"):
        parts = [{"type": kind, kind: "u"}]
        with pytest.raises(TemplateRenderError) as caught:
            shape_messages([{"role": "user", "content": parts}, {"role": "tool", "content": parts}], traits)
        assert f"message 1 has a part of type '{kind}'" in str(caught.value)
        assert "from the role 'tool': from that it takes text only, and parts of other types from user" in str(
            caught.value
        )
    with pytest.raises(TemplateRenderError, match="'audio', which this chat template doesn't know; it knows: text"):
        shape_messages([{"role": "tool", "content": [{"type": "audio"}]}], traits)


def test_the_error_names_what_the_template_knows() -> None:
    message = refusal([{"type": "input_audio"}], knowing("image", "video"))
    assert "'input_audio'" in message
    assert "image, text, video" in message


@pytest.mark.parametrize(
    "content",
    [
        {"text": "a mapping"},
        object(),
        True,
        {"a", "set"},
        b"bytes",
        [None],
        [3],
        [["nested"]],
        [text(7)],
        [text(["nested"])],
        [{"type": "text", "text": {"value": "x"}}],
        [{"no": "type"}],
        [{"type": 3}],
        [{"type": ["text"]}],
        (part for part in ["a generator"]),
    ],
)
@pytest.mark.parametrize("traits", [PRINTS, READS_BOTH, READS_PARTS])
def test_what_is_no_text_and_no_part_is_refused(content: object, traits: TemplateTraits) -> None:
    refusal(content, traits)


def test_a_part_that_is_nested_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append({"type": "thinking", "thinking": endless})
    refusal(endless, PRINTS)
    results: dict[str, Any] = {}
    results["again"] = results
    with pytest.raises(TemplateRenderError, match="message 0"):
        shape_messages([{"role": "tool", "content": results}], PRINTS)


# Messages


@dataclasses.dataclass
class Call:
    function: dict[str, Any]


@dataclasses.dataclass
class Message:
    role: str
    content: Any
    tool_calls: list[Any] | None = None


class Model:
    """As pydantic's."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def model_dump(self) -> dict[str, Any]:
        return dict(self._fields)


def test_dataclasses_models_and_other_mappings_are_messages() -> None:
    messages: list[Any] = [
        Message("user", [text("One")]),
        Model(role="user", content=[Model(type="text", text="Two")]),
        types.MappingProxyType({"role": "user", "content": (text("Three"),)}),
        Message("assistant", None, [Call({"name": "a", "arguments": {"x": 1}})]),
    ]
    shaped = shape_messages(messages, PRINTS)
    assert [message["content"] for message in shaped] == ["One", "Two", "Three", None]
    assert shaped[3]["tool_calls"] == [{"function": {"name": "a", "arguments": '{"x": 1}'}}]
    assert messages[0].content == [text("One")]


def test_models_that_fit_stay_the_callers_objects() -> None:
    messages: list[Any] = [Message("user", "One"), Model(role="user", content="Two")]
    assert shape_messages(messages, PRINTS) is messages


def test_a_tuple_of_messages_becomes_a_list_of_the_same_messages() -> None:
    message = {"role": "user", "content": "Hello"}
    shaped = shape_messages((message,), PRINTS)
    assert shaped == [message]
    assert shaped[0] is message


def test_messages_that_fit_stay_the_same_objects_beside_those_that_change() -> None:
    fits = {"role": "user", "content": "Hello", "name": "Ada"}
    messages: list[Any] = [fits, {"role": "user", "content": [text("again")]}]
    shaped = shape_messages(messages, PRINTS)
    assert shaped == [fits, {"role": "user", "content": "again"}]
    assert shaped[0] is fits
    assert messages[1] == {"role": "user", "content": [text("again")]}


class Pair(NamedTuple):
    role: str
    content: str


@pytest.mark.parametrize("messages", ["Hello", b"Hello", {"role": "user", "content": "Hello"}, None, 3, iter(())])
def test_what_is_no_list_of_messages_is_a_configuration_error(messages: Any) -> None:
    with pytest.raises(ConfigurationError, match="list of messages"):
        shape_messages(messages, PRINTS)


@pytest.mark.parametrize("message", ["Hello", None, 3, [{"role": "user"}], Pair("user", "Hello"), object()])
def test_a_message_that_is_no_mapping_is_refused(message: Any) -> None:
    with pytest.raises(TemplateRenderError, match="message 1 is a"):
        shape_messages([{"role": "user", "content": "Hello"}, message], PRINTS)


def test_a_message_without_a_role_is_left_to_the_template() -> None:
    messages = [{"content": "Hello"}]
    assert shape_messages(messages, PRINTS) is messages
    assert shape_messages([{"content": [text("Hello")]}], PRINTS) == [{"content": "Hello"}]

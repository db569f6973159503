"""Which template belongs to a model folder: the same as in transformers, and what engines find beside."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer as RawTokenizer
from tokenizers import models

from tests.data import DATA, HAS_DATA
from tokenfacade import (
    CorruptTokenizerError,
    NoChatTemplateError,
    TemplateSyntaxError,
    create_tokenizer,
)
from tokenfacade.chat.discovery import ChatTemplates, find_chat_templates
from tokenfacade.chat.template import ChatTemplate
from tokenfacade.model_config import read_model_config

if TYPE_CHECKING:
    from collections.abc import Mapping

TINY = RawTokenizer(models.WordLevel({"<s>": 0, "</s>": 1, "hello": 2, "?": 3}, unk_token="?")).to_str()
DIALOGUE = "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"
MESSAGES = [{"role": "user", "content": "hello"}]


def write(folder: Path, files: Mapping[str, Any]) -> Path:
    """Make a model folder: bytes and text as they are, all else as JSON."""
    for name, content in {"tokenizer.json": TINY, **files}.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def found_in(folder: Path) -> ChatTemplates:
    return find_chat_templates(folder, read_model_config(folder))


def texts(templates: ChatTemplates) -> dict[str, Any]:
    return dict(templates.entries)


def reference(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


# What transformers finds

NAMES = st.sampled_from(["default", "tool_use", "rag", "a b", "x.y", "ünï", ""])
TEXTS = st.sampled_from(["", "{{ 1 }}", "one\r\ntwo\rthree\n\n", "\ufeff{{ 'é世😊' }}\n", "{# \u2028 #}"])
NAMED = st.dictionaries(NAMES, TEXTS, max_size=3)
CONFIGURED = st.one_of(
    st.none(),
    TEXTS,
    NAMED,
    st.lists(st.fixed_dictionaries({"name": NAMES, "template": TEXTS}), max_size=3),
)


@given(
    config=st.one_of(st.just({}), st.fixed_dictionaries({"chat_template": CONFIGURED})),
    own=st.one_of(st.none(), TEXTS),
    additional=st.one_of(st.none(), NAMED),
)
@example(config={"chat_template": "{{ 1 }}"}, own=None, additional={"rag": "{{ 2 }}"})
@example(config={"chat_template": ""}, own=None, additional=None)
@example(config={}, own="", additional={"default": "{{ 2 }}"})
def test_the_files_of_transformers_count_as_there(
    config: dict[str, Any], own: str | None, additional: dict[str, str] | None
) -> None:
    files: dict[str, Any] = {"tokenizer_config.json": config}
    if own is not None:
        files["chat_template.jinja"] = own
    for name, text in (additional or {}).items():
        files[f"additional_chat_templates/{name}.jinja"] = text
    with TemporaryDirectory() as name:
        folder = write(Path(name), files)
        theirs, ours = reference(folder), found_in(folder)
        if not theirs.chat_template and theirs.chat_template != "":
            assert not ours
            return
        assert texts(ours) == (
            theirs.chat_template if isinstance(theirs.chat_template, dict) else {"default": theirs.chat_template}
        )
        for chosen in (None, *ours) if isinstance(theirs.chat_template, dict) else (None,):
            for tools in (None, [], [{"type": "function"}]):
                assert_same_choice(theirs, ours, chosen, tools)


def assert_same_choice(theirs: Any, ours: ChatTemplates, chosen: str | None, tools: Any) -> None:
    try:
        expected = theirs.get_chat_template(chosen, tools)
    except ValueError:
        with pytest.raises(NoChatTemplateError, match="several chat templates"):
            ours.select(chosen, tools)
        return
    selected = ours.select(chosen, tools)
    assert isinstance(selected, ChatTemplate)
    assert selected.text == expected


@pytest.mark.skipif(not HAS_DATA, reason="the shared data are not here")
@pytest.mark.parametrize("name", ["minimind", "phi-3-mini", "torchtitan-test", "clip", "falcon"])
def test_real_models_have_the_templates_that_transformers_finds(name: str) -> None:
    theirs, ours = reference(DATA / "models" / name), create_tokenizer(DATA / "models" / name)
    template = ours.chat_template
    assert (template.text if isinstance(template, ChatTemplate) else template) == theirs.chat_template
    assert ours.special_tokens.variables == theirs.special_tokens_map
    assert ours.chat_templates.special_tokens == theirs.special_tokens_map


# What engines find where transformers finds nothing


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, {}),
        ({"tokenizer_config.json": {"chat_template": None}, "chat_template.json": {"chat_template": "a"}}, "a"),
        ({"chat_template.json": '"{{ 1 }}"'}, "{{ 1 }}"),
        ({"chat_template.json": "{{ 1 }}\r\n{% if x %}[]{% endif %}"}, "{{ 1 }}\n{% if x %}[]{% endif %}"),
        ({"chat_template.json": "[INST] {{ 1 }}"}, "[INST] {{ 1 }}"),
        ({"chat_template.json": {"chat_template": [{"name": "rag", "template": "a"}]}}, {"rag": "a"}),
        ({"chat_template.json": {"chat_template": {"default": "a", "rag": "b"}}}, {"default": "a", "rag": "b"}),
        ({"chat_template.json": {"processor_class": "X"}, "x.jinja": "b"}, "b"),
        ({"chat_template.json": {"chat_template": "a"}, "x.jinja": "b"}, "a"),
        ({"llama.jinja": "a\r\nb"}, "a\nb"),
        ({"llama.jinja": "a", "qwen.jinja": "b"}, {"llama": "a", "qwen": "b"}),
        ({"default.jinja": "a", "qwen.jinja": "b"}, {"default": "a", "qwen": "b"}),
        ({"chat.jinja": "a", "qwen.jinja": "b"}, {"default": "a", "qwen": "b"}),
        ({"tool_use.jinja": "a", "qwen.jinja": "b"}, {"qwen": "b", "tool_use": "a"}),
        ({"tokenizer_config.json": {"chat_template": ""}, "x.jinja": "b"}, ""),
        ({"chat_template.jinja": "a", "chat_template.json": "{", "x.jinja": b"\xff"}, "a"),
        ({"additional_chat_templates/readme.txt": "a"}, {}),
        ({"additional_chat_templates/x.jinja/y.txt": "a"}, {}),
    ],
)
def test_other_files_count_where_those_have_none(
    files: dict[str, Any], expected: str | dict[str, str], tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    found = texts(found_in(write(tmp_path, files)))
    assert found == ({"default": expected} if isinstance(expected, str) else expected)


def test_links_are_followed(tmp_path: Path) -> None:
    """The Hub's cache is made of them."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    (snapshot / "additional_chat_templates").mkdir(parents=True)
    for name, text in {"chat_template.jinja": "a", "additional_chat_templates/rag.jinja": "b"}.items():
        blob = blobs / name.replace("/", "-")
        blob.write_text(text, encoding="utf-8")
        (snapshot / name).symlink_to(blob)
    assert texts(found_in(snapshot)) == {"default": "a", "rag": "b"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "deepseek_v32"}, "renderer:deepseek_v32"),
        ({"architectures": ["GptOssForCausalLM"]}, "renderer:harmony"),
        ({"model_type": "llama"}, None),
        ({"model_type": ["deepseek_v32"]}, None),
    ],
)
def test_a_model_without_files_may_have_a_format_that_is_built_in(
    config: dict[str, Any], expected: str | None, tmp_path: Path
) -> None:
    templates = found_in(write(tmp_path, {"config.json": config}))
    assert (templates.default.identity if templates.default else None) == expected
    with_file = found_in(write(tmp_path, {"chat_template.jinja": "{{ 1 }}"}))
    assert texts(with_file) == {"default": "{{ 1 }}"}


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer_config.json": {"chat_template": 7}},
        {"tokenizer_config.json": {"chat_template": ["{{ 1 }}"]}},
        {"tokenizer_config.json": {"chat_template": [{"name": "a"}]}},
        {"tokenizer_config.json": {"chat_template": [{"name": None, "template": "a"}]}},
        {"tokenizer_config.json": {"chat_template": {"default": None}}},
        {"chat_template.jinja": b"\xff\xfe"},
        {"additional_chat_templates/rag.jinja": b"\xe9"},
        {"other.jinja": b"\xe9"},
        {"chat_template.json": '{"chat_template": "{{ cut off'},
        {"chat_template.json": {"chat_template": 1.5}},
        {"chat_template.json": "7"},
        {"chat_template.json": b"\xff"},
    ],
)
def test_what_holds_no_template_is_corrupt_and_named(files: dict[str, Any], tmp_path: Path) -> None:
    folder = write(tmp_path, files)
    with pytest.raises(CorruptTokenizerError) as caught:
        create_tokenizer(folder)
    name = str(folder / next(iter(files)))
    assert name in str(caught.value)
    assert caught.value.source == name


# The choice of the caller


def templates_with(*names: str) -> ChatTemplates:
    return ChatTemplates({name: f"{{# {name} #}}{DIALOGUE}" for name in names}, {"eos_token": "</s>"})


def test_template_text_is_recognised_by_its_syntax() -> None:
    for text in ("{{ 1 }}", "a{% if true %}b{% endif %}", "{# nothing #}", "default.jinja {{ 1 }}"):
        selected = templates_with("default").select(text)
        assert isinstance(selected, ChatTemplate)
        assert selected.text == text


def test_a_name_comes_before_syntax_and_syntax_before_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("{{ 1 }}", "rag"):
        (tmp_path / name).write_text("{{ 'of a file' }}", encoding="utf-8")
    templates = ChatTemplates({"{{ 1 }}": "{{ 'named' }}", "default": DIALOGUE})
    assert templates.select("{{ 1 }}").render(MESSAGES) == "named"
    assert ChatTemplates().select("{{ 1 }}").render(MESSAGES) == "1"
    assert templates.select("rag").render(MESSAGES) == "of a file"
    assert ChatTemplates({"rag": "{{ 'named' }}"}).select("rag").render(MESSAGES) == "named"


@pytest.mark.parametrize("name", ["rag", "", " ", "chatml", "You are helpful.", "{ messages }", "a\0b", "\ud800"])
def test_a_text_that_is_nothing_is_never_a_prompt(name: str) -> None:
    for templates in (ChatTemplates(), templates_with("default", "tool_use")):
        with pytest.raises(NoChatTemplateError) as caught:
            templates.select(name)
        message = str(caught.value)
        assert "deepseek_v32" in message
        assert all(known in message for known in templates)
        assert caught.value.template == name


@pytest.mark.parametrize("name", ["./gone", "gone.jinja", "gone.j2", "a/b/gone", "gone.txt", "~/gone.json", "\0.jinja"])
def test_a_path_that_leads_nowhere_says_so(name: str) -> None:
    for path in (name, Path(name)):
        with pytest.raises(NoChatTemplateError, match="there is no file"):
            templates_with("default").select(path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.jinja", "a\r\n{{ eos_token }}", "a\n</s>"),
        ("x", "{{ eos_token }}", "</s>"),
        ("x.txt", "no syntax", "no syntax"),
        ("x.json", {"chat_template": "{{ eos_token }}"}, "</s>"),
        ("tokenizer_config.json", {"chat_template": [{"name": "default", "template": "d"}]}, "d"),
        ("x.json", {"chat_template": {"default": "d", "tool_use": "t"}}, "d"),
    ],
)
def test_a_path_is_read(name: str, content: Any, expected: str, tmp_path: Path) -> None:
    file = write(tmp_path, {name: content}) / name
    for path in (file, str(file)):
        assert templates_with("default").select(path).render(MESSAGES) == expected


def test_a_json_file_may_hold_several_and_tools_choose(tmp_path: Path) -> None:
    file = write(tmp_path, {"x.json": {"chat_template": {"default": "d", "tool_use": "t"}}}) / "x.json"
    assert ChatTemplates().select(file, []).render(MESSAGES) == "t"
    assert texts(ChatTemplates().replaced(file)) == {"default": "d", "tool_use": "t"}


def test_a_file_that_holds_no_template_is_an_error_of_templates(tmp_path: Path) -> None:
    for name, content in {"a.json": {"x": 1}, "b.json": {"chat_template": 7}, "c.json": "{"}.items():
        with pytest.raises(NoChatTemplateError, match=name):
            ChatTemplates().select(write(tmp_path, {name: content}) / name)
    with pytest.raises(TemplateSyntaxError, match=r"d\.jinja"):
        ChatTemplates().select(write(tmp_path, {"d.jinja": b"\xff"}) / "d.jinja")
    with pytest.raises(NoChatTemplateError, match="there is no file"):
        ChatTemplates().select(tmp_path)


def test_a_template_without_special_tokens_gets_those_of_the_model() -> None:
    templates = templates_with("default")
    assert templates.select(ChatTemplate(DIALOGUE)).render(MESSAGES) == "hello</s>"
    own = ChatTemplate(DIALOGUE, special_tokens={"eos_token": "<end>"})
    assert templates.select(own) is own
    assert templates.select(own).render(MESSAGES) == "hello<end>"


def test_formats_that_are_built_in_have_names() -> None:
    assert ChatTemplates().select("deepseek_v32").identity == "renderer:deepseek_v32"
    own = ChatTemplates({"deepseek_v32": "{{ 'own' }}"})
    assert own.select("deepseek_v32").render(MESSAGES) == "own"


def test_without_any_template_the_error_says_what_was_looked_for(tmp_path: Path) -> None:
    templates = found_in(write(tmp_path, {}))
    assert templates.default is None
    with pytest.raises(NoChatTemplateError) as caught:
        templates.select()
    for part in (str(tmp_path), "chat_template.jinja", "tokenizer_config.json", "chat_template=", "harmony"):
        assert part in str(caught.value)
    with pytest.raises(NoChatTemplateError, match="without a folder"):
        ChatTemplates().select()


def test_a_broken_template_is_an_error_when_it_is_asked_for() -> None:
    templates = ChatTemplates({"default": "{% if %}", "rag": DIALOGUE})
    assert templates["rag"].render(MESSAGES) == "hello"
    assert templates.identity
    with pytest.raises(TemplateSyntaxError) as caught:
        assert templates.default
    assert caught.value.template == "default"
    with pytest.raises(TemplateSyntaxError):
        templates.checked()


def test_templates_are_compiled_once_and_equal_by_what_they_render() -> None:
    templates = templates_with("default", "tool_use")
    assert templates.select() is templates["default"] is templates.default
    assert templates.select(tools=()) is templates["tool_use"]
    assert templates == templates_with("tool_use", "default")
    assert hash(templates) == hash(templates_with("tool_use", "default"))
    assert templates != templates_with("default")
    assert templates != 7
    with pytest.raises(NoChatTemplateError):
        templates["rag"]


def test_the_text_of_a_template_and_the_template_have_one_identity() -> None:
    """A fingerprint is worked out without compiling, and must not depend on that."""
    tokens = {"eos_token": "</s>", "bos_token": "<s>"}
    as_text = ChatTemplates({"default": DIALOGUE}, tokens)
    as_object = ChatTemplates({"default": ChatTemplate(DIALOGUE, special_tokens=tokens)}, tokens)
    assert as_text.identity == as_object.identity == as_text.replaced(ChatTemplate(DIALOGUE)).identity

"""Chat templates on every backend and by every way in: found, given, changed, pickled and told apart."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tokenizers import Tokenizer as RawTokenizer

from tests.hub_fixtures import REPO
from tests.hub_fixtures import hub as hub
from tests.hub_fixtures import hub_environment as hub_environment
from tests.rank_files import PATTERN, SPECIAL, content_of, publish, small_encoding, write_model
from tests.test_factory import TOKENIZER_JSON
from tokenfacade import (
    ChatTemplate,
    ChatTemplateError,
    ConfigurationError,
    CorruptTokenizerError,
    HuggingFaceTokenizer,
    MockTokenizer,
    NoChatTemplateError,
    TemplateRenderError,
    TemplateSyntaxError,
    TiktokenTokenizer,
    TokenFacadeError,
    Tokenizer,
    create_tokenizer,
    create_tokenizer_async,
)
from tokenfacade.chat.arguments import RESERVED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fake_hub import FakeHub

OWN = "{% for m in messages %}[{{ m.content }}{{ eos_token }}]{% endfor %}"
GIVEN = "{% for m in messages %}<{{ m.content }}{{ eos_token }}>{% endfor %}"
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": [{"type": "text", "text": "world"}]},
]
CONFIG = {"eos_token": "<|im_end|>", "chat_template": OWN}
QWEN = {**CONFIG, "tokenizer_class": "QWenTokenizer"}


def raw() -> RawTokenizer:
    return RawTokenizer.from_str(TOKENIZER_JSON.decode())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two model folders with a template, and a published encoding without one."""
    folder = tmp_path / "huggingface"
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(TOKENIZER_JSON)
    (folder / "tokenizer_config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    write_model(tmp_path / "ranks", "qwen.tiktoken", tokenizer_config=QWEN)
    publish(monkeypatch, "cl100k_base")
    (tmp_path / "cl100k_base.tiktoken").write_bytes(content_of())
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    (tmp_path / "given.jinja").write_text(GIVEN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def create_async(source: str, **options: Any) -> Tokenizer:
    return asyncio.run(create_tokenizer_async(source, **options))


WAYS: dict[str, tuple[Callable[..., Tokenizer], str | None]] = {
    "folder": (partial(create_tokenizer, "huggingface"), "<|im_end|>"),
    "path": (partial(create_tokenizer, Path("huggingface")), "<|im_end|>"),
    "file": (partial(create_tokenizer, "huggingface/tokenizer.json"), "<|im_end|>"),
    "async": (partial(create_async, "huggingface"), "<|im_end|>"),
    "file:": (partial(create_tokenizer, "file:ranks"), "<|im_end|>"),
    "ranks": (partial(create_tokenizer, "ranks/qwen.tiktoken"), "<|im_end|>"),
    "HuggingFaceTokenizer.from_file": (partial(HuggingFaceTokenizer.from_file, "huggingface"), "<|im_end|>"),
    "TiktokenTokenizer.from_file": (partial(TiktokenTokenizer.from_file, "ranks"), "<|im_end|>"),
    "TiktokenTokenizer.from_file with options": (
        partial(TiktokenTokenizer.from_file, "ranks", pattern=PATTERN, special_tokens=SPECIAL),
        "<|im_end|>",
    ),
    "tiktoken:": (partial(create_tokenizer, "tiktoken:cl100k_base"), "<|endoftext|>"),
    "name": (partial(create_tokenizer, "gpt-4"), "<|endoftext|>"),
    "from_encoding": (partial(TiktokenTokenizer.from_encoding, "cl100k_base"), "<|endoftext|>"),
    "from_model_name": (partial(TiktokenTokenizer.from_model_name, "gpt-4"), "<|endoftext|>"),
    "mock:": (partial(create_tokenizer, "mock:"), "</s>"),
    "MockTokenizer": (MockTokenizer, "</s>"),
    "HuggingFaceTokenizer": (lambda **options: HuggingFaceTokenizer(raw(), **options), ""),
    "TiktokenTokenizer": (lambda **options: TiktokenTokenizer(small_encoding(), **options), ""),
}
WITHOUT = ("tiktoken:", "name", "from_encoding", "from_model_name", "mock:", "MockTokenizer")
IN_MEMORY = ("HuggingFaceTokenizer", "TiktokenTokenizer")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, place: Path) -> str:
    name: str = request.param
    return name


def prompt_of(tokenizer: Tokenizer, **options: Any) -> str:
    return tokenizer.apply_chat_template(MESSAGES, **options)


def rendered(template: str, eos: str | None) -> str:
    before, after = ("[", "]") if template == OWN else ("<", ">")
    return "".join(f"{before}{word}{eos}{after}" for word in ("hello", "world"))


def test_the_template_of_a_folder_is_found(way: str) -> None:
    make, eos = WAYS[way]
    tokenizer = make()
    if way in (*WITHOUT, *IN_MEMORY):
        assert tokenizer.chat_template is None
        assert len(tokenizer.chat_templates) == 0
        with pytest.raises(NoChatTemplateError, match="chat_template="):
            prompt_of(tokenizer)
    else:
        assert prompt_of(tokenizer) == rendered(OWN, eos)
        assert tokenizer.chat_template == ChatTemplate(OWN, special_tokens=tokenizer.special_tokens)


@pytest.mark.parametrize("given", [GIVEN, "given.jinja", Path("given.jinja"), ChatTemplate(GIVEN)], ids=repr)
def test_a_template_can_be_given_on_every_way_in(way: str, given: Any) -> None:
    make, eos = WAYS[way]
    tokenizer = make(chat_template=given)
    assert prompt_of(tokenizer) == rendered(GIVEN, eos)
    assert prompt_of(make().with_chat_template(given)) == rendered(GIVEN, eos)
    assert prompt_of(make(), chat_template=given) == rendered(GIVEN, eos)
    assert tokenizer.encode("hello") == make().encode("hello")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("{% if %}", TemplateSyntaxError),
        (ChatTemplate, ConfigurationError),
        ("rag", NoChatTemplateError),
        ("./gone.jinja", NoChatTemplateError),
        (Path("gone"), NoChatTemplateError),
        (7, ConfigurationError),
        (b"{{ 1 }}", ConfigurationError),
    ],
    ids=repr,
)
def test_what_is_no_template_is_an_error_at_once(way: str, given: Any, error: type[TokenFacadeError]) -> None:
    make, _ = WAYS[way]
    with pytest.raises(error):
        make(chat_template=given)
    with pytest.raises(error):
        make().with_chat_template(given)
    with pytest.raises(error):
        prompt_of(make(), chat_template=given)


def test_a_twin_shares_the_vocabulary_and_leaves_the_original_alone(way: str) -> None:
    make, eos = WAYS[way]
    original = make()
    before = original.fingerprint, len(original.chat_templates)
    twin = original.with_chat_template(GIVEN)
    assert type(twin) is type(original)
    assert (original.fingerprint, len(original.chat_templates)) == before
    assert twin.fingerprint != original.fingerprint
    assert twin.vocabulary_fingerprint == original.vocabulary_fingerprint
    assert twin.source == original.source
    assert twin.stream_tables is original.stream_tables
    assert original.with_chat_template(None) is original
    assert prompt_of(twin.with_chat_template(OWN)) == rendered(OWN, eos)
    ids = twin.encode("hello world 12").ids
    assert ids == original.encode("hello world 12").ids
    stream = twin.decode_stream()
    assert "".join(filter(None, map(stream.step, ids))) + (stream.flush() or "") == original.decode(ids)


def test_fingerprints_are_equal_exactly_when_the_templates_are(way: str) -> None:
    make, _ = WAYS[way]
    plain, given, other = make(), make(chat_template=GIVEN), make(chat_template=GIVEN + " ")
    assert make().fingerprint == plain.fingerprint
    assert given.fingerprint == make(chat_template=ChatTemplate(GIVEN)).fingerprint
    assert given.fingerprint == plain.with_chat_template("given.jinja").fingerprint
    assert len({plain.fingerprint, given.fingerprint, other.fingerprint}) == 3
    assert len(given.fingerprint) == 64
    if way not in (*WITHOUT, *IN_MEMORY):
        assert make(chat_template=OWN).fingerprint == plain.fingerprint


def test_a_given_template_is_pickled_and_a_found_one_is_not(way: str) -> None:
    make, eos = WAYS[way]
    plain, given = make(), make(chat_template=GIVEN)
    for tokenizer in (plain, given, given.with_chat_template(OWN)):
        again = pickle.loads(pickle.dumps(tokenizer))
        assert (type(again), again.source, again.fingerprint) == (
            type(tokenizer),
            tokenizer.source,
            tokenizer.fingerprint,
        )
        assert again.chat_templates == tokenizer.chat_templates
        assert copy.copy(tokenizer) is copy.deepcopy(tokenizer) is tokenizer
    assert prompt_of(pickle.loads(pickle.dumps(given))) == rendered(GIVEN, eos)
    assert OWN.encode() not in pickle.dumps(plain)
    if way not in ("HuggingFaceTokenizer", "TiktokenTokenizer", "MockTokenizer", "mock:"):
        assert len(pickle.dumps(given)) < len(pickle.dumps(plain)) + len(GIVEN) + 500


def _prompt_in_child(tokenizer: Tokenizer) -> tuple[str, str]:
    return tokenizer.apply_chat_template(MESSAGES), tokenizer.fingerprint


def test_a_spawned_child_renders_the_same(place: Path) -> None:
    found = create_tokenizer(place / "huggingface")
    tokenizers = [found, found.with_chat_template(GIVEN), MockTokenizer(chat_template=GIVEN)]
    with get_context("spawn").Pool(1) as pool:
        assert pool.map(_prompt_in_child, tokenizers) == [_prompt_in_child(tokenizer) for tokenizer in tokenizers]


class TestFolders:
    def test_a_broken_template_does_not_keep_the_tokenizer_from_loading(self, place: Path) -> None:
        (place / "ranks" / "chat_template.jinja").write_text("{% if %}", encoding="utf-8")
        (place / "huggingface" / "chat_template.jinja").write_text("{% if %}", encoding="utf-8")
        for source in ("ranks", "huggingface"):
            tokenizer = create_tokenizer(source)
            assert tokenizer.decode(tokenizer.encode("hello")) == "hello"
            assert pickle.loads(pickle.dumps(tokenizer)).fingerprint == tokenizer.fingerprint
            with pytest.raises(TemplateSyntaxError):
                tokenizer.chat_template  # noqa: B018
            with pytest.raises(TemplateSyntaxError):
                prompt_of(tokenizer)
            assert prompt_of(create_tokenizer(source, chat_template=GIVEN)) == rendered(GIVEN, "<|im_end|>")

    def test_named_templates_are_chosen_by_name_and_by_tools(self, place: Path) -> None:
        folder = place / "huggingface" / "additional_chat_templates"
        folder.mkdir()
        (place / "huggingface" / "chat_template.jinja").write_text(OWN, encoding="utf-8")
        for name in ("tool_use", "rag"):
            (folder / f"{name}.jinja").write_text("{{ 'for " + name + "' }}", encoding="utf-8")
        tokenizer = create_tokenizer("huggingface")
        assert sorted(tokenizer.chat_templates) == ["default", "rag", "tool_use"]
        assert prompt_of(tokenizer, tools=[]) == "for tool_use"
        assert prompt_of(tokenizer, chat_template="rag", tools=[]) == "for rag"
        assert prompt_of(tokenizer) == rendered(OWN, "<|im_end|>")
        by_name = create_tokenizer("huggingface", chat_template="rag")
        assert prompt_of(by_name) == prompt_of(by_name, tools=[]) == "for rag"
        assert pickle.loads(pickle.dumps(by_name)).fingerprint == by_name.fingerprint
        with pytest.raises(NoChatTemplateError, match="default, rag, tool_use"):
            prompt_of(tokenizer, chat_template="chatml")

    def test_what_holds_no_template_is_corrupt(self, place: Path) -> None:
        for folder in ("ranks", "huggingface"):
            (place / folder / "chat_template.jinja").write_bytes(b"\xff")
            with pytest.raises(CorruptTokenizerError, match=r"chat_template\.jinja"):
                create_tokenizer(folder)

    def test_meta_s_own_files_have_the_template_above(self, place: Path) -> None:
        (place / "huggingface" / "original").mkdir()
        file = place / "huggingface" / "original" / "tokenizer.model"
        file.write_bytes(content_of())
        tokenizer = TiktokenTokenizer.from_file(file, family="llama3")
        assert prompt_of(tokenizer) == rendered(OWN, "<|im_end|>")
        assert pickle.loads(pickle.dumps(tokenizer)).fingerprint == tokenizer.fingerprint

    def test_a_model_whose_format_is_built_in_needs_no_template(self, place: Path) -> None:
        config = place / "huggingface" / "tokenizer_config.json"
        config.write_text("{}", encoding="utf-8")
        (config.parent / "config.json").write_text('{"model_type": "deepseek_v32"}', encoding="utf-8")
        tokenizer = create_tokenizer("huggingface")
        assert "<｜User｜>hello" in prompt_of(tokenizer)
        assert pickle.loads(pickle.dumps(tokenizer)).fingerprint == tokenizer.fingerprint
        given = MockTokenizer(chat_template="deepseek_v32")
        assert prompt_of(given) == prompt_of(tokenizer)
        assert pickle.loads(pickle.dumps(given)).fingerprint == given.fingerprint


class TestHub:
    def test_templates_come_with_the_tokenizer(self, hub: FakeHub) -> None:
        hub.add(
            REPO,
            {
                "tokenizer.json": TOKENIZER_JSON,
                "tokenizer_config.json": json.dumps(CONFIG).encode(),
                "chat_template.jinja": GIVEN.encode(),
                "additional_chat_templates/tool_use.jinja": b"{{ 'for tools' }}",
            },
        )
        tokenizer = create_tokenizer(REPO)
        assert prompt_of(tokenizer) == rendered(GIVEN, "<|im_end|>")
        assert prompt_of(tokenizer, tools=[]) == "for tools"
        assert pickle.loads(pickle.dumps(tokenizer)).fingerprint == tokenizer.fingerprint
        given = create_tokenizer(f"hf:{REPO}", chat_template=OWN)
        assert prompt_of(given, tools=[]) == rendered(OWN, "<|im_end|>")
        again = pickle.loads(pickle.dumps(given))
        assert (again.source, again.fingerprint, prompt_of(again)) == (
            given.source,
            given.fingerprint,
            prompt_of(given),
        )


class TestArguments:
    TOKENIZER = MockTokenizer(chat_template="{{ style }}{{ messages[0].content }}{{ eos_token }}")

    def test_variables_reach_the_template_and_the_program_wins(self) -> None:
        prompt = partial(self.TOKENIZER.apply_chat_template, MESSAGES)
        assert prompt(style="a ") == "a hello</s>"
        assert prompt(chat_template_kwargs={"style": "b "}) == "b hello</s>"
        assert prompt(chat_template_kwargs={"style": "b "}, style="a ") == "a hello</s>"
        assert prompt(eos_token="!") == "hello!"
        assert prompt(chat_template_kwargs={}) == prompt(chat_template_kwargs=None) == "hello</s>"

    @pytest.mark.parametrize("name", sorted(RESERVED))
    def test_reserved_names_are_refused(self, name: str) -> None:
        for call in (
            self.TOKENIZER.apply_chat_template,
            self.TOKENIZER.encode_chat,
            self.TOKENIZER.count_chat_tokens,
        ):
            with pytest.raises(ConfigurationError, match=f"'{name}'"):
                call(MESSAGES, chat_template_kwargs={name: "x"})

    @pytest.mark.parametrize("name", ["tokenize", "return_dict", "padding", "conversation", "max_length"])
    def test_options_of_transformers_are_refused_as_keywords_too(self, name: str) -> None:
        options: dict[str, Any] = {name: True}
        with pytest.raises(ConfigurationError, match=name):
            self.TOKENIZER.apply_chat_template(MESSAGES, **options)
        template = self.TOKENIZER.chat_template
        assert template is not None
        with pytest.raises(ConfigurationError, match=name):
            template.render(MESSAGES, **options)

    @pytest.mark.parametrize("wrong", [[("style", 1)], "style", 7, {7: "style"}, {"style": 1, None: 2}])
    def test_variables_that_have_no_names_are_refused(self, wrong: Any) -> None:
        with pytest.raises(ConfigurationError):
            self.TOKENIZER.apply_chat_template(MESSAGES, chat_template_kwargs=wrong)

    def test_content_is_shaped_unless_exact(self) -> None:
        tokenizer = self.TOKENIZER
        parts: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
        before = copy.deepcopy(parts)
        assert tokenizer.apply_chat_template(parts) == "hello</s>"
        assert tokenizer.apply_chat_template(parts, content="exact") == "[{'type': 'text', 'text': 'hello'}]</s>"
        assert parts == before
        with pytest.raises(ConfigurationError, match="content"):
            tokenizer.apply_chat_template(parts, content="other")  # type: ignore[arg-type]

    def test_what_a_request_gets_wrong_is_an_error_of_ours(self) -> None:
        for messages in ([], "hello", None, [7], {"role": "user"}, [{"role": "user", "content": {7}}]):
            for call in (self.TOKENIZER.apply_chat_template, self.TOKENIZER.encode_chat):
                with pytest.raises((ChatTemplateError, ConfigurationError)):
                    call(messages)  # type: ignore[arg-type]
        raising = MockTokenizer(chat_template="{{ raise_exception('no') }}")
        with pytest.raises(TemplateRenderError):
            raising.apply_chat_template(MESSAGES)


class TestCounting:
    def test_it_is_the_length_of_the_encoding(self, way: str) -> None:
        tokenizer = WAYS[way][0](chat_template=GIVEN)
        options: list[dict[str, Any]] = [
            {},
            {"content": "exact"},
            {"content_policy": "text"},
            {"eos_token": "!", "chat_template_kwargs": {"x": 1}},
            {"chat_template": OWN, "tools": []},
        ]
        for chosen in options:
            encoding = tokenizer.encode_chat(MESSAGES, **chosen)
            assert tokenizer.count_chat_tokens(MESSAGES, **chosen) == len(encoding)

    def test_ids_are_those_of_the_prompt_with_one_bos(self) -> None:
        tokenizer = MockTokenizer(chat_template="{{ bos_token }}{{ messages[0].content }}")
        assert tokenizer.encode_chat(MESSAGES).tokens == ["<s>", "hello"]
        assert tokenizer.encode_chat(MESSAGES).ids == tokenizer.encode(prompt_of(tokenizer)).ids

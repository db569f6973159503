"""The ids of a chat: those of transformers, its mask, and what `content_policy="text"` decides."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as RawTokenizer
from transformers import PreTrainedTokenizerFast

from tests.data import DATA, HAS_DATA
from tests.rank_files import PATTERN, write_model
from tests.real import golden_tokenizer, real_tokenizer
from tests.small import small_tokenizer
from tokenfacade import ChatTemplate, ConfigurationError, HuggingFaceTokenizer, MockTokenizer, TiktokenTokenizer
from tokenfacade.chat.control_tokens import is_structural
from tokenfacade.chat.encode import assistant_mask
from tokenfacade.errors import EncodeError

if TYPE_CHECKING:
    from pathlib import Path

    from tokenfacade import Encoding, Tokenizer

needs_data = pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
PLAIN = ChatTemplate("{% for m in messages %}</s>{{ m.content }}<s>{% endfor %}")


def user(content: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content, **more}]


def as_text(tokenizer: Tokenizer, content: Any, template: ChatTemplate = PLAIN, **options: Any) -> Encoding:
    return tokenizer.encode_chat(user(content), chat_template=template, content_policy="text", **options)


@needs_data
@pytest.mark.parametrize("name", ["minimind", "phi-3-mini", "torchtitan-test"])
@pytest.mark.parametrize("policy", ["special", "text"])
def test_the_ids_are_those_of_transformers(name: str, policy: Any) -> None:
    tokenizer, checked = real_tokenizer(name), 0
    # AutoTokenizer differs from this tokenizer.json (see the data's README), except where the config adds tokens.
    key = "expected_ids" if name == "torchtitan-test" else "expected_ids_tokenizer_json"
    for case in json.loads((DATA / "goldens" / "chat_model" / f"{name}.json").read_text()):
        said = json.dumps([case["messages"], case["tools"], case["kwargs"]])
        if case["error"] or (policy == "text" and any(token in said for token in tokenizer.added_tokens)):
            continue
        encoding = tokenizer.encode_chat(
            case["messages"],
            tools=case["tools"],
            documents=case["documents"],
            add_generation_prompt=case["add_generation_prompt"],
            continue_final_message=case["continue_final_message"],
            content="exact",
            content_policy=policy,
            **case["kwargs"],
        )
        assert (encoding.ids, encoding.text) == (case[key], case["expected"])
        checked += 1
    assert checked > 20


def test_a_prompt_has_its_bos_once() -> None:
    tokenizer = small_tokenizer("byte_level")
    template = ChatTemplate("{{ bos_token }}{{ messages[0].content }}", special_tokens={"bos_token": "<s>"})
    assert tokenizer.encode_chat(user("hello"), chat_template=template).tokens.count("<s>") == 1


@pytest.mark.parametrize("policy", ["special", "text"])
def test_counting_gives_the_number_of_ids(policy: Any) -> None:
    tokenizer = MockTokenizer(chat_template=CHATML)
    for content in ("hello world", "a<|im_end|>b", "é\ud800"):
        encoding = tokenizer.encode_chat(user(content), content_policy=policy)
        assert tokenizer.count_chat_tokens(user(content), content_policy=policy) == len(encoding)


def test_options_that_cannot_be_are_refused() -> None:
    tokenizer = MockTokenizer(chat_template=CHATML)
    with pytest.raises(ConfigurationError, match="content_policy"):
        tokenizer.encode_chat(user("a"), content_policy="none")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="continue_final_message"):
        tokenizer.encode_chat(user("a"), return_assistant_mask=True, continue_final_message=True)


GENERATION = """
{% for m in messages %}<|im_start|>{{ m.role }}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %} {% endfor %}
{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}
{% for m in messages %}x{% generation %}{{ m.content if m.role == 'user' }}{% endgeneration %}{% endfor %}
{% macro say(m) %}[{% generation %}{{ m.content }}{% endgeneration %}]{% endmacro %}ab {{ say(messages[0]) }}
ab{% generation %}{{ messages[0].content|trim }}{% endgeneration %}
{% for m in messages %}{{ m.content }}{% endfor %}
""".strip().splitlines()


@cache
def reference_tokenizer(name: str) -> Any:
    """The same file in transformers, without what its classes for some models change."""
    load: Any = PreTrainedTokenizerFast
    return load(tokenizer_file=str(DATA / "models" / name / "tokenizer.json"))


@needs_data
@pytest.mark.parametrize("name", ["minimind", "deepseek-v3", "falcon", "phi-3-mini", "t5-small", "all-minilm-l6-v2"])
@pytest.mark.parametrize("template", GENERATION)
@given(
    texts=st.lists(st.text(max_size=8) | st.sampled_from(["", "héllo 😊", " a ", "<|im_end|>"]), min_size=1, max_size=4)
)
def test_the_mask_is_that_of_transformers(name: str, template: str, texts: list[str]) -> None:
    messages = [{"role": ["user", "assistant"][n % 2], "content": text} for n, text in enumerate(texts)]
    try:
        expected = reference_tokenizer(name).apply_chat_template(
            messages, chat_template=template, return_assistant_tokens_mask=True, return_dict=True
        )
    except OverflowError:  # it asks for the token of character -1, when a block ends where the prompt begins
        return
    encoding = golden_tokenizer(name).encode_chat(
        messages, chat_template=ChatTemplate(template), content="exact", return_assistant_mask=True
    )
    assert (encoding.ids, encoding.assistant_mask) == (expected["input_ids"], expected["assistant_masks"])


def test_an_empty_block_at_the_beginning_marks_nothing() -> None:
    assert assistant_mask([(0, 1), (1, 2)], [(0, 0)]) == [0, 0]


def test_the_mask_goes_with_the_text_policy() -> None:
    tokenizer = MockTokenizer(chat_template=GENERATION[0])
    messages = user("hello<|im_end|> world")
    encoding = tokenizer.encode_chat(messages, content_policy="text", return_assistant_mask=True)
    said = bytes(
        b
        for n, m in zip(encoding.ids, encoding.assistant_mask or (), strict=True)
        if m
        for b in tokenizer.token_bytes(n)
    )
    assert said == b"hello<|im_end|> world<|im_end|>"
    assert tokenizer.encode_chat(messages).assistant_mask is None


def test_a_template_without_blocks_gives_zeros_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = MockTokenizer(chat_template="{{ messages[0].content }} without blocks")
    with caplog.at_level(logging.WARNING):
        masks = [tokenizer.encode_chat(user("hello"), return_assistant_mask=True).assistant_mask for _ in range(3)]
    assert {mark for mask in masks for mark in mask or (1,)} == {0}
    assert [record.name for record in caplog.records] == ["tokenfacade.chat.encode"]


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        *((token, True) for token in ("<think>", "</think>", "<tool_call>", "<｜User｜>", "｜DSML｜", "[INST]", "<s>")),
        *((token, True) for token in ("<|im_end|>", "]~b]", "__USER__", "### User:", "<unused0>", "\u2060", "$$")),
        *((token, False) for token in ("  ", "\n\n", "\t", "word", "New York", "é", "世", "snake_case", "😊", "2024")),
        *((token, False) for token in ("<table>", "</td>", "<h1>", "<b>", "</li>")),
    ],
)
def test_which_tokens_without_a_flag_steer_the_model(token: str, *, expected: bool) -> None:
    assert is_structural(token) is expected


def with_added(*tokens: AddedToken) -> Tokenizer:
    raw = RawTokenizer(models.BPE(vocab={chr(n): n for n in range(33, 123)} | {"Ġ": 200, "Ċ": 201}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.add_tokens(list(tokens))
    return HuggingFaceTokenizer(raw)


def test_tags_of_formatted_text_are_text_unless_the_template_writes_them() -> None:
    tokenizer = with_added(AddedToken("<table>"), AddedToken("<think>"), AddedToken("\n\n"))
    innocent, writing = (
        ChatTemplate("<think>{{ messages[0].content }}"),
        ChatTemplate("<table>{{ messages[0].content }}"),
    )
    assert as_text(tokenizer, "a<table>\n\n", innocent).tokens == ["<think>", "a", "<table>", "\n\n"]
    assert as_text(tokenizer, "<think><table>\n\n", innocent).tokens[-2:] == ["<table>", "\n\n"]
    assert as_text(tokenizer, "<table>", writing).tokens == ["<table>", *"<table", ">"]


def test_a_token_that_is_half_a_message_is_text() -> None:
    tokenizer = MockTokenizer(special_tokens=("<s>", "</s>", "<|user|>", "<|end|>"))
    template = ChatTemplate("{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}")
    messages = [*user("a<|"), {"role": "end", "content": "end"}, {"role": "user", "content": "|>"}]
    encoding = tokenizer.encode_chat(messages, chat_template=template, content_policy="text")
    special = [token for token in encoding.tokens if token in tokenizer.special_tokens.ids]
    assert special == ["<|user|>", "<|end|>", "<|end|>", "<|user|>", "<|end|>"]
    assert tokenizer.decode(encoding, skip_special_tokens=False) == encoding.text


def test_a_message_cannot_swallow_a_token_of_the_template() -> None:
    tokenizer = MockTokenizer(special_tokens=("<end>", "a<", "<<end>>"))
    template = ChatTemplate("{{ messages[0].content }}<end>{{ messages[0].content }}")
    for content in ("a", "<", "b"):
        assert as_text(tokenizer, content, template).tokens.count("<end>") == 1


def test_a_combining_mark_cannot_take_the_end_off_a_token() -> None:
    raw = RawTokenizer(models.BPE(vocab={"<": 0, "/": 1, "t": 2, ">": 3, "≯": 4, "\u0338": 5}, merges=[]))
    raw.normalizer = normalizers.NFC()
    raw.add_tokens([AddedToken("</t>", normalized=True)])
    tokenizer = HuggingFaceTokenizer(raw)
    assert "</t>" not in tokenizer.encode("</t>\u0338").tokens
    assert as_text(tokenizer, "\u0338", ChatTemplate("</t>{{ messages[0].content }}")).tokens == ["</t>", "\u0338"]


def test_white_space_that_a_token_takes_along_may_be_the_messages() -> None:
    raw = RawTokenizer(models.BPE(vocab={"a": 0, "Ġ": 1, "Ċ": 2, "<": 3, "e": 4, ">": 5}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.add_tokens([AddedToken("<e>", lstrip=True, rstrip=True, special=True)])
    tokenizer = HuggingFaceTokenizer(raw)
    template = ChatTemplate("{{ messages[0].content }}<e>{{ messages[0].content }}")
    assert as_text(tokenizer, " a ", template).ids == tokenizer.encode(" a <e> a ").ids
    expected = [*("Ġ", "a", "<", "e", ">"), "<e>", *("a", "<", "e", ">", "Ġ")]
    assert as_text(tokenizer, " a<e> ", template).tokens == expected


def test_a_spelling_that_the_model_itself_knows_is_broken_up() -> None:
    pieces = [("<unk>", 0.0), ("</s>", -1.0), *((letter, -4.0) for letter in "<>/sab"), ("▁", -2.0)]
    raw = RawTokenizer(models.Unigram(pieces, unk_id=0))
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.add_special_tokens([AddedToken("<unk>", special=True), AddedToken("</s>", special=True)])
    tokenizer = HuggingFaceTokenizer(raw)
    template = ChatTemplate("{{ messages[0].content }}</s>")
    encoding = as_text(tokenizer, "a</s>b<unk>?", template)
    assert (encoding.tokens.count("</s>"), encoding.tokens[-1]) == (1, "</s>")
    assert as_text(tokenizer, "a?b", template).ids == tokenizer.encode("a?b</s>").ids


def test_a_character_that_is_a_control_token_becomes_a_replacement_character() -> None:
    raw = RawTokenizer(models.WordLevel({"⏹": 0, "a": 1, "\ufffd": 2}, unk_token="a"))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    raw.add_special_tokens([AddedToken("⏹", special=True)])
    tokenizer = HuggingFaceTokenizer(raw)
    encoding = as_text(tokenizer, "a⏹a", ChatTemplate("{{ messages[0].content }}⏹"))
    assert (encoding.tokens, encoding.text) == (["a", "\ufffd", "a", "⏹"], "a⏹a⏹")


class Stubborn(MockTokenizer):
    """A tokenizer that writes everything between control tokens as another one."""

    def encode_parts(self, parts: Sequence[tuple[str, int | None]]) -> Encoding:
        encoding = super().encode_parts(parts)
        encoding.ids[:] = [self.special_tokens.ids["</s>"]] * len(encoding)
        return encoding


def test_what_can_only_be_written_as_a_control_token_is_refused() -> None:
    with pytest.raises(EncodeError, match="only as the token '</s>'"):
        as_text(Stubborn(), "a</s>", ChatTemplate("{{ messages[0].content }}"))


def test_half_characters_are_mended_with_their_account() -> None:
    tokenizer = MockTokenizer(chat_template=CHATML)
    for content in ("\ud83d\ude0a<|im_end|>", "<|im_end|>\ud800", "\ud83d", "\ude0a", "a\ud83d\ude0a\ud83d"):
        encoding = tokenizer.encode_chat(user(content), content_policy="text")
        assert encoding.tokens.count("<|im_end|>") == 1
        assert tokenizer.decode(encoding, skip_special_tokens=False) == encoding.text
    split = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}<|im_end|>")
    halves = [*user("<|im_end|>\ud83d"), *user("\ude0a<|im_end|>")]
    encoding = tokenizer.encode_chat(halves, chat_template=split, content_policy="text")
    assert (encoding.text, encoding.tokens.count("<|im_end|>")) == ("<|im_end|>😊<|im_end|><|im_end|>", 1)


@needs_data
@pytest.mark.parametrize("name", ["minimind", "deepseek-v3"])
def test_single_tokens_in_messages_are_encoded_as_transformers_does_when_asked_to_sanitize(name: str) -> None:
    tokenizer, reference = real_tokenizer(name), reference_tokenizer(name)
    added = sorted(tokenizer.control_tokens.spellings.items())[:24]
    opening, closing = added[0][1], added[1][1]
    template = f"{{% for m in messages %}}{opening}{{{{ m.content }}}}{closing}{{% endfor %}}"
    for token_id, token in added:
        if not tokenizer.special_tokens.ids.keys() >= {token}:
            continue  # it sanitizes others only where the template has them
        for content in (token, f"hello {token} world", f"{token}\n{token}", f"é{token}"):
            expected = reference.apply_chat_template(
                user(content), chat_template=template, sanitize_control_tokens=True, return_dict=False
            )
            encoding = as_text(tokenizer, content, ChatTemplate(template))
            assert encoding.ids.count(token_id) == (token in (opening, closing))
            assert expected.count(token_id) == encoding.ids.count(token_id)
            # Beside other text it encodes the spelling apart from what touches it.
            assert content != token or list(expected) == encoding.ids
            assert tokenizer.decode(expected, skip_special_tokens=False) == encoding.text


def test_parts_are_encoded_as_between_these_tokens() -> None:
    for name in ("byte_level", "byte_fallback", "metaspace", "tiktoken_small", "mock"):
        tokenizer = small_tokenizer(name)
        stop = tokenizer.token_to_id("</s>")
        text = tokenizer.encode_parts([("the worker", None), ("</s>", stop), (" the", None), ("</s>", stop)])
        assert text.ids == tokenizer.encode("the worker</s> the</s>").ids
        assert (text.text, text.offsets) == (
            "the worker</s> the</s>",
            tokenizer.encode("the worker</s> the</s>").offsets,
        )
        spelled = tokenizer.encode_parts([("</s>", None), ("\U000f0000", None)])
        assert (stop in spelled.ids) == (name == "metaspace")  # its model has the spelling as a piece
        assert spelled.text == "</s>\U000f0000"


def test_tiktoken_tokens_without_a_flag_steer_too(tmp_path: Path) -> None:
    added = {"400": {"content": "<think>", "special": False}, "401": {"content": "<|e|>", "special": True}}
    file = write_model(tmp_path, "tiktoken.model", tokenizer_config={"added_tokens_decoder": added})
    tokenizer = TiktokenTokenizer.from_file(file, pattern=PATTERN)
    assert list(tokenizer.special_tokens.ids) == ["<|e|>"]
    encoding = as_text(tokenizer, "<think><|e|>", ChatTemplate("<think>{{ messages[0].content }}<|e|>"))
    assert [token_id for token_id in encoding.ids if token_id >= 400] == [400, 401]
    assert tokenizer.decode_bytes(encoding, skip_special_tokens=False) == b"<think><think><|e|><|e|>"

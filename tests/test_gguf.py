"""Loading GGUF files: what of the metadata counts, and what is refused or warned of."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.gguf_files import (
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    Typed,
    byte_level,
    gguf,
    metadata,
    scored,
    unigram,
    wordpiece,
    write,
)
from tokenfacade import (
    ConfigurationError,
    CorruptTokenizerError,
    DecodeError,
    MissingDependencyError,
    NoChatTemplateError,
    TokenizerNotFoundError,
    UnsupportedFormatError,
    create_tokenizer,
)
from tokenfacade.backends.gguf import GGUFTokenizer
from tokenfacade.backends.sentencepiece import SentencePieceTokenizer

SPECIAL = [("<s>", CONTROL), ("</s>", CONTROL), ("<|tool|>", USER_DEFINED)]
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}"
KINDS: dict[str, dict[str, Any]] = {
    "gpt2": byte_level(*SPECIAL, words=["Ġhello", "ing"], bos_token_id=263, eos_token_id=264),
    "llama": scored(("<|tool|>", USER_DEFINED), words=["▁hello", "ing"]),
    "t5": unigram(
        {"▁hello": -1.0, "ing": -2.0, "▁": -3.0, "a": -4.0}, ("<|tool|>", USER_DEFINED), add_space_prefix=True
    ),
    "bert": wordpiece(["▁hello", "ing", "▁", "a", "▁."]),
}


def load(folder: Path, values: dict[str, Any], **options: Any) -> GGUFTokenizer:
    return GGUFTokenizer.from_file(write(folder, values), **{"engine": "reference", **options})


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_vocabulary(tmp_path: Path, kind: str) -> None:
    tokenizer = load(tmp_path, KINDS[kind])
    assert tokenizer.backend == "gguf"
    assert tokenizer.source == str(tmp_path / "model.gguf")
    assert tokenizer.vocab_size == len(KINDS[kind]["tokenizer.ggml.tokens"])
    encoding = tokenizer.encode(" helloing<|tool|>")
    assert tokenizer.decode(encoding).endswith(" helloing<|tool|>") or kind == "bert"
    assert len(encoding.offsets) == len(encoding.tokens) == len(encoding)
    for token_id in range(tokenizer.vocab_size):
        token = tokenizer.id_to_token(token_id)
        assert token is not None
        assert tokenizer.token_to_id(token) == token_id
        tokenizer.token_bytes(token_id)
    for token_id in (-1, tokenizer.vocab_size, 2**70):
        assert tokenizer.id_to_token(token_id) is None
        assert tokenizer.decode([token_id]) == ""
    for wrong in (None, "1", 1.5):
        with pytest.raises(DecodeError):
            tokenizer.decode([wrong])  # type: ignore[list-item]


@pytest.mark.parametrize("kind", KINDS)
def test_it_pickles_by_path_in_little(tmp_path: Path, kind: str) -> None:
    tokenizer = load(tmp_path, KINDS[kind], strict=True)
    pickled = pickle.dumps(tokenizer)
    assert len(pickled) < 1000
    again = pickle.loads(pickled)
    assert again._recipe[0].keywords == {"strict": True, "source": None, "engine": "reference"}
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode("hello").ids == tokenizer.encode("hello").ids
    described = GGUFTokenizer.from_file(tmp_path, source=str(tmp_path))
    assert described.source == str(tmp_path)
    assert pickle.loads(pickle.dumps(described)).source == str(tmp_path)
    other = pickle.loads(pickle.dumps(tokenizer.with_chat_template("{{ messages[0].content }}")))
    assert other.apply_chat_template([{"role": "user", "content": "hi"}]) == "hi"
    assert other._recipe[0].keywords == {"strict": True, "source": None, "engine": "reference"}


def test_the_byte_order_changes_nothing(tmp_path: Path) -> None:
    for values in KINDS.values():
        little = load(tmp_path, values)
        big = GGUFTokenizer.from_file(write(tmp_path, values, name="big.gguf", order=">"), engine="reference")
        assert big.fingerprint == little.fingerprint
        assert big.encode("hello ing").ids == little.encode("hello ing").ids


CHANGES: dict[str, Any] = {
    "pre": "qwen2",
    "bos_token_id": 5,
    "add_bos_token": True,
    "add_eos_token": True,
    "merges": ["i n"],
    "token_type": Typed("i32", [NORMAL] * 266, is_array=True),
}


def test_a_fingerprint_differs_with_whatever_changes_ids(tmp_path: Path) -> None:
    found = {load(tmp_path, KINDS["gpt2"]).vocabulary_fingerprint}
    for key, value in CHANGES.items():
        found.add(load(tmp_path, {**KINDS["gpt2"], f"tokenizer.ggml.{key}": value}).vocabulary_fingerprint)
    assert len(found) == len(CHANGES) + 1
    same = {**KINDS["gpt2"], "general.name": "another", "llama.block_count": 7}
    assert load(tmp_path, same).vocabulary_fingerprint in found
    assert load(tmp_path, {**same, "general.name": "phi-3"}).vocabulary_fingerprint not in found


@pytest.mark.parametrize(
    ("name", "said"), [("default", "says nothing"), (None, "names no"), ("of-2031", "isn't known")]
)
def test_a_pre_tokenizer_that_is_not_named_is_a_loud_warning(
    tmp_path: Path, name: str | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    values = {key: value for key, value in KINDS["gpt2"].items() if not key.endswith(".pre")}
    if name is not None:
        values["tokenizer.ggml.pre"] = name
    with caplog.at_level(logging.WARNING):
        tokenizer = load(tmp_path, values)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert said in message
    assert str(tmp_path) in message
    assert (name or "no pre-tokenizer") in message
    assert "DEFAULT" in message
    assert "convert the model again" in message
    assert tokenizer.encode("a  b1234").tokens == ["a", "Ġ", "Ġ", "b", *"1234"]
    with pytest.raises(UnsupportedFormatError, match=said):
        load(tmp_path, values, strict=True)


@pytest.mark.parametrize("kind", ["llama", "t5", "bert"])
def test_other_vocabularies_need_no_pre_tokenizer(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    load(tmp_path, {**KINDS[kind], "tokenizer.ggml.pre": "default"}, strict=True)
    assert not caplog.records


@pytest.mark.parametrize("model", ["rwkv", "plamo2", "none", "no_vocab", "hybriddna", "whitespace", "test", "", None])
def test_other_models_are_refused(tmp_path: Path, model: str | None) -> None:
    values = {**KINDS["gpt2"], "tokenizer.ggml.model": model}
    if model is None:
        del values["tokenizer.ggml.model"]
    with pytest.raises(UnsupportedFormatError, match=r"no vocabulary|of the kind"):
        load(tmp_path, values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"tokens": ["a", "b", "a"]}, "the token 'a' twice"),
        ({"tokens": []}, "no tokens"),
        ({"tokens": [1, 2]}, "array of strings as tokenizer.ggml.tokens"),
        ({"token_type": Typed("i32", [1], is_array=True)}, "1 of token_type for 266 tokens"),
        ({"scores": [1.0, 2.0]}, "2 of scores for 266 tokens"),
        ({"scores": [float("nan")] * 266}, "no finite numbers"),
        ({"merges": 5}, "array of strings as tokenizer.ggml.merges"),
        ({"merges": None}, "no merges"),
        ({"add_bos_token": 1}, "a truth value"),
        ({"bos_token_id": "1"}, "an integer"),
        ({"model": 5}, "a string"),
    ],
)
def test_a_contradictory_vocabulary_is_refused(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    changed = {**KINDS["gpt2"], **{f"tokenizer.ggml.{key}": value for key, value in values.items()}}
    changed = {key: value for key, value in changed.items() if value is not None}
    with pytest.raises(CorruptTokenizerError, match=said):
        load(tmp_path, changed)


def test_an_empty_spelling_gets_a_name(tmp_path: Path) -> None:
    tokenizer = load(tmp_path, byte_level(("", NORMAL), ("", UNUSED)))
    assert tokenizer.id_to_token(256) == "[EMPTY_256]"
    assert tokenizer.decode([257]) == ""


def test_paths(tmp_path: Path) -> None:
    with pytest.raises(TokenizerNotFoundError, match="no GGUF file"):
        GGUFTokenizer.from_file(tmp_path)
    with pytest.raises(TokenizerNotFoundError):
        GGUFTokenizer.from_file(tmp_path / "absent.gguf")
    write(tmp_path, KINDS["gpt2"], name="m-00001-of-00002.gguf")
    write(tmp_path, {"split.no": Typed("u16", 1)}, name="m-00002-of-00002.gguf")
    assert GGUFTokenizer.from_file(tmp_path, engine="reference").vocab_size == 266
    assert create_tokenizer(tmp_path / "m-00001-of-00002.gguf", engine="reference").backend == "gguf"
    for other in ("n-00001-of-00002.gguf", "another.gguf"):
        write(tmp_path, KINDS["bert"], name=other)
        with pytest.raises(ConfigurationError, match="several models"):
            GGUFTokenizer.from_file(tmp_path)
        (tmp_path / other).unlink()
    (tmp_path / "m-00001-of-00002.gguf").unlink()
    with pytest.raises(CorruptTokenizerError, match="part 2 of a set"):
        GGUFTokenizer.from_file(tmp_path)


def test_engines(tmp_path: Path) -> None:
    assert load(tmp_path, KINDS["gpt2"]).engine == "reference"
    assert load(tmp_path, KINDS["gpt2"]).wait_for_engine(timeout=5) == "reference"
    assert "one engine" in load(tmp_path, KINDS["bert"]).wait_for_engine().reason
    with pytest.raises(ConfigurationError, match="no fast engine"):
        load(tmp_path, KINDS["bert"], engine="fast")
    with pytest.raises(ConfigurationError, match="engine="):
        load(tmp_path, KINDS["bert"], engine="quick")


def test_inner_tokenizers_are_called_like_the_file(tmp_path: Path) -> None:
    tokenizer = load(tmp_path, {**KINDS["gpt2"], "tokenizer.ggml.pre": "llama-bpe"}, source="hf:org/name@1")
    encoder: Any = tokenizer._encoder
    assert encoder.engine_for("'\u017f") is not encoder.usual
    assert {encoder.engine_for(text).source for text in ("a", "'\u017f")} == {"hf:org/name@1"}


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MissingDependencyError("no sentencepiece", extra="sentencepiece")

    monkeypatch.setattr(SentencePieceTokenizer, "from_pieces", fail)
    with pytest.raises(MissingDependencyError, match=r"tokenfacade\[gguf\]") as caught:
        load(tmp_path, KINDS["llama"])
    assert caught.value.extra == "gguf"
    assert load(tmp_path, KINDS["t5"]).encode("hello").tokens == ["▁hello"]


def test_chat_templates_come_from_the_metadata(tmp_path: Path) -> None:
    values = {**KINDS["gpt2"], "tokenizer.chat_template": TEMPLATE}
    values |= {"tokenizer.chat_templates": ["tool_use", "gone"], "tokenizer.chat_template.tool_use": "{{ tools }}!"}
    tokenizer = load(tmp_path, values)
    assert sorted(tokenizer.chat_templates) == ["default", "tool_use"]
    messages = [{"role": "user", "content": "hello"}]
    assert tokenizer.apply_chat_template(messages) == "<s>user: hello</s>"
    assert tokenizer.apply_chat_template(messages, tools=[]) == "[]!"
    assert tokenizer.encode_chat(messages).tokens[0] == "<s>"
    other = load(tmp_path, values, chat_template="{{ messages[0].content }}")
    assert other.apply_chat_template(messages) == "hello"
    assert other.fingerprint != tokenizer.fingerprint
    with pytest.raises(NoChatTemplateError, match=r"the metadata of .*model\.gguf"):
        load(tmp_path, KINDS["gpt2"]).apply_chat_template(messages)


def test_special_tokens_by_role(tmp_path: Path) -> None:
    roles = {"bos": 5, "eos": 6, "eot": 7, "unknown": 8, "seperator": 9, "padding": 10, "mask": 11, "cls": 12}
    keys = {f"tokenizer.ggml.{role}_token_id": token_id for role, token_id in roles.items()}
    values = {**byte_level(*SPECIAL), **keys}
    special = load(tmp_path, values).special_tokens
    spelled = values["tokenizer.ggml.tokens"]
    assert [special.bos, special.eos, special.unk, special.sep, special.pad, special.mask, special.cls] == [
        spelled[n] for n in (5, 6, 8, 9, 10, 11, 12)
    ]
    assert special.named == {"eot_token": spelled[7]}
    assert special.ids == {"<s>": 256, "</s>": 257}


@pytest.mark.parametrize(
    ("special", "values", "ends", "control", "user_defined"),
    [
        ([("<|im_end|>", NORMAL)], {"eos_token_id": 3}, (3, 256), ["<|im_end|>"], []),
        ([("<|im_end|>", USER_DEFINED), ("<|eot_id|>", CONTROL)], {"eos_token_id": 9999}, (11, 257, 256), None, []),
        ([("<|fim_pad|>", NORMAL), ("<|file_sep|>", NORMAL)], {"eos_token_id": 0}, (0, 256, 257), None, []),
        ([("<|fim_prefix|>", NORMAL)], {"eos_token_id": 0, "fim_pre_token_id": 4}, (0,), [], []),
        ([("<|fim_prefix|>", NORMAL)], {"eos_token_id": 0}, (0,), ["<|fim_prefix|>"], []),
        ([("<|channel|>", CONTROL)], {"eos_token_id": 0}, (0,), [], ["<|channel|>"]),
        (
            [("<|return|>", CONTROL), ("<|call|>", CONTROL), ("<|end|>", CONTROL)],
            {"eos_token_id": 256},
            (256, 257),
            ["<|return|>", "<|call|>"],
            ["<|end|>"],
        ),
        ([("</s>", CONTROL), ("<|tool_response>", CONTROL)], {"eos_token_id": 257}, (257,), ["<|tool_response>"], []),
        ([("<s>", UNKNOWN)], {"eos_token_id": 0, "eot_token_id": 257}, (0, 257), ["<s>"], []),
    ],
)
def test_types_and_ends_are_those_of_llama_cpp(
    tmp_path: Path,
    special: list[tuple[str, int]],
    values: dict[str, Any],
    ends: tuple[int, ...],
    control: list[str] | None,
    user_defined: list[str],
) -> None:
    tokenizer = load(tmp_path, byte_level(*special, ("~~", NORMAL), **values))
    assert tokenizer.eos_token_ids == ends
    assert list(tokenizer.special_tokens.ids) == ([token for token, _ in special] if control is None else control)
    assert set(tokenizer.added_tokens) == {*tokenizer.special_tokens.ids, *user_defined}
    for token in user_defined:
        assert tokenizer.encode(f"a{token}b", parse_special_tokens=False).tokens == ["a", token, "b"]
    for token in tokenizer.special_tokens.ids:
        assert tokenizer.encode(f"a{token}b").tokens == ["a", token, "b"]
        assert token not in tokenizer.encode(f"a{token}b", parse_special_tokens=False).tokens


def test_a_gemma_file_always_adds_bos(tmp_path: Path) -> None:
    tokens = [
        ("<bos>", CONTROL),
        ("\n", NORMAL),
        ("\n\n", NORMAL),
        ("▁", NORMAL),
        *((letter, NORMAL) for letter in "abc"),
    ]
    tokens += [(f"<0x{n:02X}>", 6) for n in range(256)]
    values = metadata("gemma4", tokens, merges=["a b"], bos_token_id=0, add_bos_token=False)
    tokenizer = load(tmp_path, values)
    assert tokenizer.encode("a c\n\n\nb", add_special_tokens=True).ids == [0, 4, 3, 6, 1, 1, 1, 5]
    assert tokenizer.encode("\n\né").tokens == ["\n\n", "<0xC3>", "<0xA9>"]
    assert tokenizer.decode([4, 3, 6, 2, 7 + 0xC3, 7 + 0xA9]) == "a c\n\né"


def test_the_content_of_a_file_is_what_counts(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.bin"
    file.write_bytes(gguf(KINDS["gpt2"]))
    assert create_tokenizer(file, engine="reference").backend == "gguf"


@pytest.mark.parametrize(
    ("values", "token", "text", "expected"),
    [
        ({"pre": "jina-v2-code"}, "<mask>", "a <mask> b", ["a", "<mask>", "Ġ", "b"]),
        ({"general.architecture": "nomic-bert-moe"}, "<mask>", "a\n<mask>", ["a", "<mask>"]),
        ({"general.name": "a modern-bert"}, "[MASK]", " [MASK] ", ["[MASK]", "Ġ"]),
        ({"general.name": "Phi-3 mini"}, "<|end|>", "a<|end|> \n b", ["a", "<|end|>", "b"]),
        ({"general.name": "phi3"}, "<s>", "a<s> b", ["a", "<s>", "Ġ", "b"]),
    ],
)
def test_which_tokens_take_white_space_goes_by_names(
    tmp_path: Path, values: dict[str, Any], token: str, text: str, expected: list[str]
) -> None:
    tokenizer = load(tmp_path, {**byte_level((token, CONTROL)), **byte_level((token, CONTROL), **values)})
    encoding = tokenizer.encode(text)
    assert encoding.tokens == expected
    assert "".join(text[start:end] for start, end in encoding.offsets if end - start > 1) == token
    assert tokenizer.cut_points() == (frozenset() if token in ("<mask>", "[MASK]") else {token})


def test_glm_has_no_bos_unless_it_is_named(tmp_path: Path) -> None:
    values = byte_level(pre="glm4", add_bos_token=True)
    assert load(tmp_path, values).encode("a", add_special_tokens=True).tokens == ["a"]
    values = byte_level(pre="glm4", add_bos_token=True, bos_token_id=5)
    assert len(load(tmp_path, values).encode("a", add_special_tokens=True)) == 2


def test_a_merge_may_begin_with_a_space(tmp_path: Path) -> None:
    tokens = [("a", NORMAL), (" ", NORMAL), (" a", NORMAL), *((f"<0x{n:02X}>", 6) for n in range(256))]
    values = metadata("gpt2", tokens, pre="sarvam-moe", merges=["  a", " ", ""])
    assert load(tmp_path, values).encode("▁a").tokens == ["<0xE2>", "<0x96>", "<0x81>", "a"]


def test_a_unigram_vocabulary_needs_an_unknown_token(tmp_path: Path) -> None:
    values = metadata("t5", [("a", NORMAL), ("b", NORMAL)], scores=[-1.0, -2.0])
    with pytest.raises(CorruptTokenizerError, match="no unknown token"):
        load(tmp_path, values)


def test_what_looks_like_the_unknown_token_is_another(tmp_path: Path) -> None:
    tokenizer = load(tmp_path, scored(("<unknown>", NORMAL), words=["<unknown"]))
    assert tokenizer.encode("<unknown>").tokens[-1] == "<unknown>"

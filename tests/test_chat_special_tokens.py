"""The special tokens that templates can write: the same as in transformers, whatever the files say."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as RawTokenizer
from tokenizers import models, pre_tokenizers

from tests.test_chat_discovery import reference, write
from tokenfacade import SpecialTokens, create_tokenizer
from tokenfacade.backends import huggingface_names

BYTE_PAIRS = RawTokenizer(models.BPE({"a": 0, "b": 1}, [])).to_str()


def byte_level() -> str:
    raw = RawTokenizer.from_str(BYTE_PAIRS)
    raw.pre_tokenizer = pre_tokenizers.ByteLevel()
    return raw.to_str()


TOKENS = st.sampled_from(["<s>", "</s>", "hello", "<x>"])
AS_OBJECTS = st.fixed_dictionaries({"content": TOKENS, "__type": st.just("AddedToken"), "lstrip": st.booleans()})
VALUES = st.one_of(TOKENS, AS_OBJECTS, st.none())


@given(
    roles=st.dictionaries(st.sampled_from(["bos_token", "eos_token", "unk_token", "pad_token"]), VALUES),
    others=st.dictionaries(st.sampled_from(["image_token", "boi_token"]), st.one_of(TOKENS, AS_OBJECTS)),
    extra=st.one_of(
        st.none(),
        st.lists(TOKENS, max_size=2),
        st.dictionaries(st.sampled_from(["image_token", "audio_token"]), TOKENS),
    ),
)
def test_variables_are_those_of_transformers(roles: Any, others: Any, extra: Any) -> None:
    config = {**roles, **others, **({} if extra is None else {"extra_special_tokens": extra})}
    with TemporaryDirectory() as name:
        folder = write(Path(name), {"tokenizer_config.json": config})
        expected = reference(folder).special_tokens_map
        tokenizer = create_tokenizer(folder)
        assert tokenizer.special_tokens.variables == expected
        assert tokenizer.chat_templates.special_tokens == expected


def test_variables_have_the_names_of_a_config() -> None:
    special = SpecialTokens(bos="<s>", cls="[CLS]", named={"image_token": "<i>"}, ids={"<s>": 0})
    assert special.variables == {"bos_token": "<s>", "cls_token": "[CLS]", "image_token": "<i>"}
    special.variables.clear()
    assert special.variables


TYPES_OF_CLASSES = sorted(
    [*huggingface_names._CLASS_OF_MODEL, *huggingface_names._WITHOUT_CLASS, "llama", "deepseek_v3"]
)
CLASSES = [None, *huggingface_names._NAMES, "PreTrainedTokenizerFast", "LlamaTokenizerFast"]


@pytest.mark.parametrize("model_type", [None, *TYPES_OF_CLASSES])
def test_names_of_a_class_are_variables_where_the_files_have_none(model_type: str | None, tmp_path: Path) -> None:
    chosen = CLASSES if model_type in (None, "llama", "mistral", "qwen2", "qwen3", "gpt2") else [None, "LlamaTokenizer"]
    for name in chosen:
        files: dict[str, Any] = {"tokenizer_config.json": {"tokenizer_class": name, "pad_token": None}}
        if model_type is not None:
            files["config.json"] = {"model_type": model_type}
        for content in (BYTE_PAIRS, byte_level()):
            folder = write(tmp_path, {**files, "tokenizer.json": content})
            tokenizer = create_tokenizer(folder)
            assert tokenizer.chat_templates.special_tokens == reference(folder).special_tokens_map, (model_type, name)
            assert tokenizer.special_tokens.variables == {}

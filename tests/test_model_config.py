"""What the files beside a ``tokenizer.json`` say: the same as in transformers, whatever they hold."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as RawTokenizer

from tests.data import DATA, HAS_DATA
from tokenfacade import CorruptTokenizerError, HuggingFaceTokenizer
from tokenfacade.model_config import ROLES, read_model_config

if TYPE_CHECKING:
    from collections.abc import Callable

ROLE_NAMES = tuple(f"{role}_token" for role in ROLES)
WORDS = ("hello", "world", "<a>", "<b>", "<c>")
TOKENS = (*WORDS, "<x>", "<Y>", "<z>", "two words")
TEXTS = (
    "",
    "hello world",
    "hello <a>world <b> <c>hello <Y>world",
    " <x> hello<y>world <z>  <X> <a> ",
    "HELLO <A>World<Z><X> two words hello",
    "<c><c><y><y> <x><a>unknown",
)
Files = dict[str, Any]


def write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def tokenizer_json(added: list[Any]) -> str:
    """A word-level tokenizer that lower-cases, so that it matters whether an added token is normalized."""
    letters = sorted(set("".join(TEXTS).lower()) - {" "})
    vocabulary = {word: token_id for token_id, word in enumerate(("<unk>", *WORDS, *letters))}
    raw = RawTokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.normalizer = normalizers.Lowercase()
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.decoder = decoders.Metaspace(prepend_scheme="never")
    raw.post_processor = processors.TemplateProcessing(single=["<a>", "$A"], special_tokens=[("<a>", 3)])
    raw.add_tokens(
        [AddedToken(**{name: value for name, value in token.items() if name != "__type"}) for token in added]
    )
    return raw.to_str()


def load_reference(folder: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)


def assert_same(folder: Path, load: Callable[[Path], Any] = load_reference) -> None:
    """Compare everything that a user of transformers sees with what we give."""
    theirs, ours = load(folder), HuggingFaceTokenizer.from_file(folder)
    assert_same_tokens(theirs, ours)
    everything = range(ours.vocab_size)
    for skip in (False, True):
        text = theirs.decode(everything, skip_special_tokens=skip, clean_up_tokenization_spaces=False)
        assert ours.decode(everything, skip_special_tokens=skip) == text
        assert ours.decode_bytes(everything, skip_special_tokens=skip).decode() == text
    # Skipped is what the normalizer leaves as the spelling of a special token.
    kept = {token_id for token_id in everything if theirs.decode([token_id], skip_special_tokens=True)}
    special = ours.special_tokens.ids
    assert kept == {token_id for token_id in everything if theirs.convert_ids_to_tokens(token_id) not in special}


def assert_same_tokens(theirs: Any, ours: HuggingFaceTokenizer) -> None:
    assert ours.vocab_size == max(theirs.get_vocab().values()) + 1
    for token, token_id in theirs.get_added_vocab().items():
        assert (ours.token_to_id(token), ours.id_to_token(token_id)) == (token_id, token)
    roles = {f"{role}_token": token for role in ROLES if (token := getattr(ours.special_tokens, role))}
    names = {name: str(token) for name, token in theirs._special_tokens_map.items() if token is not None}
    assert {**roles, **ours.special_tokens.named} == names
    for text, add, parse in product(TEXTS, (False, True), (False, True)):
        ids = theirs(text, add_special_tokens=add, split_special_tokens=not parse)["input_ids"]
        assert ours.encode(text, add_special_tokens=add, parse_special_tokens=parse).ids == ids, (text, add, parse)


flags = st.fixed_dictionaries(
    {name: st.booleans() for name in ("special", "lstrip", "rstrip", "single_word")},
    optional={"normalized": st.booleans()},
)
contents = st.sampled_from(TOKENS)
tokens = st.builds(lambda content, chosen: {"content": content, **chosen}, contents, flags)
distinct_tokens = st.lists(tokens, unique_by=lambda token: token["content"], max_size=5)
forms = st.dictionaries(contents, flags)
names = st.sampled_from((*ROLE_NAMES, "image_token", "boi_token"))
named = st.dictionaries(names, contents | st.none(), max_size=5)
unnamed = st.lists(contents, max_size=3)
configs = st.builds(
    lambda named, more: {**named, **more, "add_bos_token": True, "add_eos_token": True},
    named,
    st.fixed_dictionaries(
        {},
        optional={
            "extra_special_tokens": unnamed | st.dictionaries(names, contents, max_size=3),
            "additional_special_tokens": unnamed,
        },
    ),
)


def formed(value: Any, forms: dict[str, Any], **marks: str) -> Any:
    """A config in which some of the tokens are objects."""
    if isinstance(value, dict):
        return {name: formed(inner, forms, **marks) for name, inner in value.items()}
    if isinstance(value, list):
        return [formed(inner, forms, **marks) for inner in value]
    return {**marks, "content": value, **forms[value]} if value in forms else value


@given(distinct_tokens, configs, forms, distinct_tokens)
def test_a_config_that_lists_its_added_tokens_says_the_same_as_in_transformers(
    own: list[Any], config: dict[str, Any], forms: dict[str, Any], listed: list[Any]
) -> None:
    config = formed(config, forms, __type="AddedToken")
    config["added_tokens_decoder"] = {str(60 + n): token for n, token in enumerate(listed)}
    with TemporaryDirectory() as folder:
        assert_same(write(Path(folder), {"tokenizer.json": tokenizer_json(own), "tokenizer_config.json": config}))


@given(distinct_tokens, configs, forms, named, unnamed, st.lists(contents, unique=True, max_size=3))
def test_a_folder_of_the_old_layout_says_the_same_as_in_transformers(
    own: list[Any],
    config: dict[str, Any],
    forms: dict[str, Any],
    named: dict[str, Any],
    unnamed: list[str],
    added: list[str],
) -> None:
    special = formed(named, forms)
    ids = {}
    if not isinstance(config.get("extra_special_tokens"), dict):
        special["extra_special_tokens"] = unnamed
        ids = {content: 60 + n for n, content in enumerate(added) if content not in forms}
    files = {
        "tokenizer.json": tokenizer_json(own),
        "tokenizer_config.json": formed(config, forms, __type="AddedToken"),
        "special_tokens_map.json": special,
        "added_tokens.json": ids,
    }
    with TemporaryDirectory() as folder:
        assert_same(write(Path(folder), files))


@pytest.mark.parametrize(
    "config",
    [
        {"bos_token": "<x>", "eos_token": {"__type": "AddedToken", "content": "<z>", "lstrip": True, "special": False}},
        {"image_token": "<x>", "extra_special_tokens": {"audio_token": "<z>"}, "additional_special_tokens": ["<Y>"]},
        {"pad_token": None, "mask_token": "<z>", "cls_token": "<x>", "add_bos_token": True, "added_tokens_decoder": {}},
    ],
)
def test_auto_tokenizer_loads_the_same(config: dict[str, Any], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    config = {"tokenizer_class": "PreTrainedTokenizerFast", **config}
    write(tmp_path, {"tokenizer.json": tokenizer_json([]), "tokenizer_config.json": config})
    assert_same(tmp_path, lambda folder: AutoTokenizer.from_pretrained(folder, local_files_only=True))


def test_flags_of_the_config_win_over_those_of_the_file(tmp_path: Path) -> None:
    flags = {"content": "<x>", "lstrip": True, "rstrip": True, "special": False}
    write(
        tmp_path,
        {
            "tokenizer.json": tokenizer_json([{"content": "<x>"}]),
            "tokenizer_config.json": {"added_tokens_decoder": {"26": flags}},
        },
    )
    encoding = HuggingFaceTokenizer.from_file(tmp_path).encode("hello <x> world")
    assert (encoding.tokens, encoding.offsets) == (["hello", "<x>", "world"], [(0, 5), (5, 10), (10, 15)])


def test_a_name_makes_a_token_special(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "tokenizer.json": tokenizer_json([]),
            "tokenizer_config.json": {"eos_token": "world", "image_token": "<x>", "add_bos_token": True},
        },
    )
    tokenizer = HuggingFaceTokenizer.from_file(tmp_path)
    special = tokenizer.special_tokens
    assert (special.eos, special.bos, dict(special.named)) == ("world", None, {"image_token": "<x>"})
    assert tokenizer.decode(tokenizer.encode("hello world <x>")) == "hello"
    assert tokenizer.encode("hello<x>", add_special_tokens=True).tokens == ["<a>", "hello", "<x>"]


@pytest.mark.skipif(not HAS_DATA, reason="needs the shared test data")
@pytest.mark.parametrize(
    "name", ["all-minilm-l6-v2", "clip", "minimind", "phi-3-mini", "roberta-base", "t5-small", "torchtitan-test"]
)
def test_real_models_load_as_in_transformers(name: str) -> None:
    folder = DATA / "models" / name
    theirs, ours = load_reference(folder), HuggingFaceTokenizer.from_file(folder)
    assert_same_tokens(theirs, ours)
    for text, skip in product(TEXTS, (False, True)):
        ids = ours.encode(text, add_special_tokens=True).ids + list(ours.special_tokens.ids.values())
        expected = theirs.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)
        assert ours.decode(ids, skip_special_tokens=skip) == expected


@pytest.mark.parametrize(
    ("config", "generation", "model", "expected"),
    [
        ({}, {}, {}, ()),
        ({"eos_token": "<a>"}, {"eos_token_id": [7, 3, 7]}, {"eos_token_id": 9}, (3, 7, 9)),
        ({"eos_token": {"content": "<b>"}}, {"eos_token_id": 2}, {"text_config": {"eos_token_id": [4, 2]}}, (4, 2)),
        ({}, {"eos_token_id": None}, {"eos_token_id": [True, False, -1, None, "5", 1.0, [6], 5]}, (5,)),
        ({"eos_token": "not there, so added"}, {}, {"text_config": None}, (26,)),
        ({"eos_token": None}, {}, {"text_config": {"eos_token_id": 1}, "eos_token_id": 8}, (8, 1)),
    ],
)
def test_eos_token_ids_are_the_ordered_union_of_three_files(
    config: Any, generation: Any, model: Any, expected: tuple[int, ...], tmp_path: Path
) -> None:
    files = {"tokenizer_config.json": config, "generation_config.json": generation, "config.json": model}
    write(tmp_path, {"tokenizer.json": tokenizer_json([]), **files})
    assert HuggingFaceTokenizer.from_file(tmp_path).eos_token_ids == expected


def test_what_the_old_special_tokens_map_says_counts_only_without_a_list_of_added_tokens(tmp_path: Path) -> None:
    special = {"eos_token": "<old>", "pad_token": None}
    write(tmp_path, {"tokenizer_config.json": {"eos_token": "<new>", "pad_token": "<p>"}})
    write(tmp_path, {"special_tokens_map.json": special, "added_tokens.json": {"<old>": 5, "<other>": 6}})
    old = read_model_config(tmp_path)
    assert {name: token.content for name, token in old.named.items()} == {"eos_token": "<old>"}
    assert [token_id for token_id, token in old.added_tokens.items() if token.special] == [5]
    assert [token.content for token in old.added_tokens.values()] == ["<old>", "<other>"]
    write(tmp_path, {"tokenizer_config.json": {"eos_token": "<new>", "added_tokens_decoder": None}})
    new = read_model_config(tmp_path)
    assert (new.named["eos_token"].content, new.added_tokens) == ("<new>", {})


def test_a_class_names_only_what_the_config_does_not_mention(tmp_path: Path) -> None:
    write(tmp_path, {"tokenizer_config.json": {"unk_token": None, "eos_token": "<e>", "image_token": "<i>"}})
    config = read_model_config(tmp_path).with_names({"mask_token": "<m>", "unk_token": "<u>", "eos_token": "<d>"})
    assert [(name, token.content) for name, token in config.named.items()] == [
        ("eos_token", "<e>"),
        ("mask_token", "<m>"),
        ("image_token", "<i>"),
    ]


def test_the_name_of_a_class_has_no_suffix(tmp_path: Path) -> None:
    write(tmp_path, {"config.json": {"tokenizer_class": "GPT2TokenizerFast"}})
    assert read_model_config(tmp_path).tokenizer_class == "GPT2Tokenizer"
    write(tmp_path, {"tokenizer_config.json": {"tokenizer_class": ["x"]}})
    assert read_model_config(tmp_path).tokenizer_class is None


def test_half_a_character_in_a_config_becomes_a_replacement_character(tmp_path: Path) -> None:
    write(tmp_path, {"tokenizer.json": tokenizer_json([]), "tokenizer_config.json": '{"eos_token": "<\\ud800>"}'})
    assert HuggingFaceTokenizer.from_file(tmp_path).special_tokens.eos == "<\ufffd>"


def test_a_byte_order_mark_before_a_config_is_no_harm(tmp_path: Path) -> None:
    write(tmp_path, {"tokenizer_config.json": '\ufeff{"eos_token": "<e>"}'})
    assert read_model_config(tmp_path).named["eos_token"].content == "<e>"


SIDECARS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
    "generation_config.json",
)


@pytest.mark.parametrize("name", SIDECARS)
@pytest.mark.parametrize(
    "content", ["", "{", '{"a": 1', "[]", "null", "3", '"text"', "\x00", "[" * 100_000, "{'a': 1}"]
)
def test_a_file_that_is_no_json_object_is_corrupt(name: str, content: str, tmp_path: Path) -> None:
    write(tmp_path, {"tokenizer.json": tokenizer_json([]), name: content})
    with pytest.raises(CorruptTokenizerError, match=name) as caught:
        HuggingFaceTokenizer.from_file(tmp_path)
    assert caught.value.source == str(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer_config.json", {"added_tokens_decoder": ["<x>"]}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"1": "<x>"}}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"1": {"special": True}}}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"one": {"content": "<x>"}}}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"-1": {"content": "<x>"}}}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"²": {"content": "<x>"}}}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"1" * 5000: {"content": "<x>"}}}),
        ("tokenizer_config.json", {"extra_special_tokens": "<x>"}),
        ("tokenizer_config.json", {"additional_special_tokens": 5}),
        ("added_tokens.json", {"<x>": "5"}),
    ],
)
def test_added_tokens_that_are_no_tokens_are_corrupt(name: str, content: Any, tmp_path: Path) -> None:
    write(tmp_path, {name: content})
    with pytest.raises(CorruptTokenizerError, match=name):
        read_model_config(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
known_keys = st.sampled_from(
    (
        *ROLE_NAMES,
        "image_token",
        "added_tokens_decoder",
        "extra_special_tokens",
        "additional_special_tokens",
        "eos_token_id",
        "text_config",
        "tokenizer_class",
        "model_type",
    )
)


@given(st.dictionaries(st.sampled_from(SIDECARS), st.dictionaries(known_keys, json_values, max_size=4)))
@example({"tokenizer_config.json": {"eos_token": "\x00"}})
def test_nothing_but_a_corrupt_tokenizer_error_comes_of_any_json(files: Files) -> None:
    with TemporaryDirectory() as name:
        folder = write(Path(name), {"tokenizer.json": tokenizer_json([]), **files})
        try:
            tokenizer = HuggingFaceTokenizer.from_file(folder)
        except CorruptTokenizerError:
            return
        assert tokenizer.encode("hello", add_special_tokens=True).tokens[:1] == ["<a>"]

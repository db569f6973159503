"""Tekken files: which one a folder means, what versions leave unsaid, and how each kind of damage is told."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mistral_common.tokens.tokenizers.base import TokenizerVersion
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from tests.tekken_files import N_SPECIAL, N_TOKENS, VERSION_13_TOKENS, special_tokens, tekken_content, write_tekken
from tokenfacade import (
    ConfigurationError,
    CorruptTokenizerError,
    TekkenTokenizer,
    TokenFacadeError,
    TokenizerNotFoundError,
    UnsupportedFormatError,
)
from tokenfacade.backends.tekken_files import (
    MOST_SPECIAL_TOKENS,
    VERSIONS,
    VERSIONS_WITH_DEFAULTS,
)

Damage = Callable[[dict[str, Any]], object]


class TestFinding:
    def test_a_folder_means_its_plain_file(self, tmp_path: Path) -> None:
        write_tekken(tmp_path, {}, name="tekken_240718.json")
        file = write_tekken(tmp_path)
        assert TekkenTokenizer.from_file(tmp_path).fingerprint == TekkenTokenizer.from_file(file).fingerprint

    def test_or_the_only_one_of_another_name(self, tmp_path: Path) -> None:
        write_tekken(tmp_path, name="tekken_240911.json")
        (tmp_path / "tekken_notes.json").mkdir()
        assert TekkenTokenizer.from_file(tmp_path).vocab_size == N_SPECIAL + N_TOKENS

    def test_of_several_the_caller_must_choose(self, tmp_path: Path) -> None:
        for name in ("tekken_a.json", "tekken_b.json"):
            write_tekken(tmp_path, name=name)
        with pytest.raises(ConfigurationError, match=r"tekken_a\.json, tekken_b\.json"):
            TekkenTokenizer.from_file(tmp_path)
        assert TekkenTokenizer.from_file(tmp_path / "tekken_b.json").backend == "tekken"

    @pytest.mark.parametrize("path", ["nothing", "", "nul\0.json", "empty"])
    def test_what_is_not_there_is_not_found(self, tmp_path: Path, path: str) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(TokenizerNotFoundError):
            TekkenTokenizer.from_file(str(tmp_path / path))


class TestVersions:
    def test_all_are_known_that_the_reference_knows(self) -> None:
        assert set(TokenizerVersion.__members__) == set(VERSIONS)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_special_tokens_are_those_of_the_reference(self, tmp_path: Path, version: str) -> None:
        listed = None if version in VERSIONS_WITH_DEFAULTS else VERSION_13_TOKENS
        file = write_tekken(tmp_path, tekken_content(version=version, special=listed))
        ours, reference = TekkenTokenizer.from_file(file), Tekkenizer.from_file(file)
        assert ours.vocab_size == reference.n_words
        assert dict(ours.special_tokens.ids) == reference._special_tokens_reverse_vocab
        assert set(ours.special_tokens.ids.values()) == reference.special_ids
        special = ours.special_tokens
        assert [special.ids[token or ""] for token in (special.bos, special.eos, special.unk, special.pad)] == [
            *(reference.bos_id, reference.eos_id, reference.unk_id, reference.pad_id)
        ]

    @pytest.mark.parametrize("version", VERSIONS_WITH_DEFAULTS)
    def test_old_files_may_list_them_too(self, tmp_path: Path, version: str) -> None:
        content = tekken_content(version=version, special=["<s>", "</s>", "[X]"])
        tokenizer = TekkenTokenizer.from_file(write_tekken(tmp_path, content))
        assert list(tokenizer.special_tokens.ids)[:4] == ["<s>", "</s>", "[X]", "<SPECIAL_3>"]
        assert (tokenizer.special_tokens.unk, tokenizer.special_tokens.pad) == (None, None)

    @pytest.mark.parametrize("version", [version for version in VERSIONS if version not in VERSIONS_WITH_DEFAULTS])
    def test_newer_ones_must(self, tmp_path: Path, version: str) -> None:
        with pytest.raises(CorruptTokenizerError, match=f"list its special tokens, as version {version}"):
            TekkenTokenizer.from_file(write_tekken(tmp_path, tekken_content(version=version)))

    @pytest.mark.parametrize("version", ["v4", "v99", "3", "", "V3", "v" * 1000])
    def test_an_unknown_version_is_refused_by_name(self, tmp_path: Path, version: str) -> None:
        file = write_tekken(tmp_path, tekken_content(version=version))
        with pytest.raises(UnsupportedFormatError, match="v1, v2, v3, v7, v11, v13, v15") as caught:
            TekkenTokenizer.from_file(file)
        assert caught.value.source == str(file)
        assert len(str(caught.value)) < 400 + len(str(file))


def _set(*path: str | int, to: Any) -> Damage:
    def damage(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = to

    return damage


def _without(*path: str | int) -> Damage:
    def damage(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return damage


def _listed(*tokens: Any) -> Damage:
    return _set("special_tokens", to=list(tokens))


NOT_NUMBERS: list[Any] = [None, True, "30", 30.0, [30], {}]
DAMAGES: dict[str, Damage] = {
    "no config": _without("config"),
    "config of another type": _set("config", to=[]),
    "no vocabulary": _without("vocab"),
    "vocabulary of another type": _set("vocab", to={}),
    "empty vocabulary": _set("vocab", to=[]),
    "no version": _without("config", "version"),
    "version of another type": _set("config", "version", to=3),
    "no pattern": _without("config", "pattern"),
    "pattern of another type": _set("config", "pattern", to=["a"]),
    "pattern that is no regular expression": _set("config", "pattern", to="(a"),
    "pattern with half a surrogate pair": _set("config", "pattern", to="\ud800"),
    "pattern too large to compile": _set("config", "pattern", to="(((a{1000}){1000}){1000})"),
    "no size": _without("config", "default_vocab_size"),
    "no count of special tokens": _without("config", "default_num_special_tokens"),
    **{f"size {value!r}": _set("config", "default_vocab_size", to=value) for value in NOT_NUMBERS},
    **{f"special {value!r}": _set("config", "default_num_special_tokens", to=value) for value in NOT_NUMBERS},
    "negative size": _set("config", "default_vocab_size", to=-1),
    "size smaller than the bytes": _set("config", "default_vocab_size", to=N_SPECIAL + 255),
    "size larger than all that is listed": _set("config", "default_vocab_size", to=10**6),
    "gigantic size": _set("config", "default_vocab_size", to=10**300),
    "negative special tokens": _set("config", "default_num_special_tokens", to=-5),
    "special tokens larger than the size": _set("config", "default_num_special_tokens", to=N_SPECIAL + N_TOKENS + 1),
    "gigantic special tokens": lambda content: content["config"].update(
        default_num_special_tokens=10**15, default_vocab_size=10**15 + 256
    ),
    "more special tokens than are taken": lambda content: content["config"].update(
        default_num_special_tokens=MOST_SPECIAL_TOKENS + 1, default_vocab_size=MOST_SPECIAL_TOKENS + 257
    ),
    "fewer special tokens than there are by default": _set("config", "default_num_special_tokens", to=5),
    "entry of another type": _set("vocab", 5, to="AA=="),
    "entry null": _set("vocab", 5, to=None),
    "entry without rank": _without("vocab", 7, "rank"),
    "entry without bytes": _without("vocab", 7, "token_bytes"),
    "bytes null": _set("vocab", 7, "token_bytes", to=None),
    "bytes a number": _set("vocab", 7, "token_bytes", to=7),
    "bytes with bad padding": _set("vocab", 270, "token_bytes", to="YWJ"),
    "bytes with other characters": _set("vocab", 270, "token_bytes", to="Y W!J*j"),
    "bytes not in ASCII": _set("vocab", 270, "token_bytes", to="é==="),
    "rank doubled": _set("vocab", 261, "rank", to=260),
    "rank skipped": _set("vocab", N_TOKENS - 1, "rank", to=10**6),
    "rank negative": _set("vocab", 0, "rank", to=-1),
    "rank a string": _set("vocab", 3, "rank", to="3"),
    "bytes doubled": lambda content: content["vocab"][270].update(token_bytes=content["vocab"][260]["token_bytes"]),
    "byte missing": _set("vocab", 65, "token_bytes", to="QUE="),
    "bytes out of order": lambda content: (
        content["vocab"][65].update(token_bytes="Qg=="),
        content["vocab"][66].update(token_bytes="QQ=="),
    ),
    "special tokens of another type": _set("special_tokens", to={"<s>": 1}),
    "special tokens a string": _set("special_tokens", to="<s>"),
    "special token of another type": _listed("<s>"),
    "special token null": _listed(None),
    "special token without rank": _listed({"token_str": "<s>"}),
    "special token without spelling": _listed({"rank": 0}),
    "special token with another spelling": _listed({"rank": 0, "token_str": 5}),
    "special token with an empty spelling": _listed({"rank": 0, "token_str": ""}),
    "special token with half a surrogate pair": _listed({"rank": 0, "token_str": "\udc00"}),
    "special tokens out of order": _listed({"rank": 1, "token_str": "<s>"}, {"rank": 0, "token_str": "</s>"}),
    "special tokens doubled": _set("special_tokens", to=special_tokens("<s>", "<s>")),
    "special token spelled like a filler": _set("special_tokens", to=special_tokens("<s>", "<SPECIAL_20>")),
    "more special tokens than there is room for": _set(
        "special_tokens", to=special_tokens(*(f"[{number}]" for number in range(N_SPECIAL + 1)))
    ),
}


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
    def test_a_damaged_file_is_told_with_its_name(self, tmp_path: Path, damage: Damage) -> None:
        content = copy.deepcopy(tekken_content())
        damage(content)
        file = write_tekken(tmp_path, content)
        with pytest.raises(CorruptTokenizerError) as caught:
            TekkenTokenizer.from_file(file)
        assert str(file) in str(caught.value)
        assert caught.value.source == str(file)
        assert len(str(caught.value)) < 600

    @pytest.mark.parametrize("content", [[], None, 5, "tekken", {}, {"config": None}])
    def test_json_that_is_no_vocabulary_is_refused(self, tmp_path: Path, content: object) -> None:
        (tmp_path / "tekken.json").write_text(json.dumps(content))
        with pytest.raises(CorruptTokenizerError):
            TekkenTokenizer.from_file(tmp_path)

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"config": 1' + b"0" * 5000 + b"}"]
    )
    def test_what_is_no_json_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "tekken.json").write_bytes(content)
        with pytest.raises(CorruptTokenizerError):
            TekkenTokenizer.from_file(tmp_path)

    def test_every_place_to_cut_it_off_is_told(self, tmp_path: Path) -> None:
        whole = write_tekken(tmp_path).read_bytes()
        for end in range(0, len(whole), 997):
            (tmp_path / "tekken.json").write_bytes(whole[:end])
            with pytest.raises(CorruptTokenizerError):
                TekkenTokenizer.from_file(tmp_path)

    def test_the_tokens_that_are_cut_may_be_anything(self, tmp_path: Path) -> None:
        content = tekken_content()
        content["vocab"][N_TOKENS:] = [None, "nothing", {}]
        assert TekkenTokenizer.from_file(write_tekken(tmp_path, content)).vocab_size == N_SPECIAL + N_TOKENS

    def test_what_is_said_about_images_and_audio_is_not_read(self, tmp_path: Path) -> None:
        plain = TekkenTokenizer.from_file(write_tekken(tmp_path / "plain"))
        content = tekken_content(image={"image_patch_size": 16, "max_image_size": 1024}, audio={"anything": []})
        assert TekkenTokenizer.from_file(write_tekken(tmp_path / "more", content)).fingerprint == plain.fingerprint

    def test_a_pattern_that_matches_nothing_at_a_place_is_an_error_of_ours(self, tmp_path: Path) -> None:
        tokenizer = TekkenTokenizer.from_file(write_tekken(tmp_path, tekken_content(config={"pattern": "a*"})))
        with pytest.raises(TokenFacadeError):
            tokenizer.encode("bab")

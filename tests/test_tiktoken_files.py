"""Files of ranks: whose they are, what the configs beside them add, and how each kind of damage is told."""

from __future__ import annotations

import pickle
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import tiktoken

from tests.data import DATA, HAS_DATA
from tests.rank_files import PATTERN, RANKS, SPECIAL, content_of, small_encoding, write_model
from tokenfacade import (
    ConfigurationError,
    CorruptTokenizerError,
    TiktokenTokenizer,
    TokenizerNotFoundError,
    UnsupportedFormatError,
    create_tokenizer,
)
from tokenfacade.backends.tiktoken_families import FAMILIES

NEEDS_DATA = pytest.mark.skipif(not HAS_DATA, reason="reads the shared test data")
COUNT = len(RANKS)
LLAMA3: dict[str, Any] = {"model_type": "llama", "vocab_size": 128256}
KIMI: dict[str, Any] = {
    "auto_map": {"AutoTokenizer": ["tokenization_kimi.TikTokenTokenizer", None]},
    "bos_token": "[BOS]",
    "eos_token": "[EOS]",
    "added_tokens_decoder": {
        str(COUNT): {"content": "[BOS]", "special": True},
        str(COUNT + 1): {"content": "[EOS]", "special": False},
        str(COUNT + 2): {"content": "<|im_end|>", "special": True},
        str(COUNT + 22): {"content": "<think>", "special": False},
        str(COUNT + 23): {"content": "</think>", "special": False},
    },
}


class TestFamilies:
    @pytest.mark.parametrize(
        ("configs", "family"),
        [
            ({"config": LLAMA3}, "llama3"),
            ({"tokenizer_config": {"tokenizer_class": "QWenTokenizer"}}, "qwen"),
            ({"config": {"model_type": "kimi_linear"}}, "kimi"),
            ({"tokenizer_config": {"tokenizer_class": "WhisperTokenizer"}}, "whisper"),
            ({"config": {"model_type": "gpt_oss"}}, "o200k_harmony"),
        ],
    )
    @pytest.mark.parametrize("name", ["some.tiktoken", "tiktoken.model", "tokenizer.model"])
    def test_the_config_beside_a_file_shows_its_family(
        self, tmp_path: Path, configs: dict[str, dict[str, Any]], family: str, name: str
    ) -> None:
        file = write_model(tmp_path, name, **configs)
        expected = FAMILIES[family].special_tokens(COUNT, {})
        for path in (file, tmp_path):
            tokenizer = TiktokenTokenizer.from_file(path)
            assert tokenizer.special_tokens.ids == expected
            assert tokenizer._encoding._pat_str == FAMILIES[family].pattern

    @pytest.mark.parametrize("family", ["cl100k_base", "r50k_base", "qwen", "llama3"])
    def test_a_file_may_be_named_after_its_family(self, tmp_path: Path, family: str) -> None:
        tokenizer = TiktokenTokenizer.from_file(write_model(tmp_path, f"{family}.tiktoken"))
        assert tokenizer.special_tokens.ids == FAMILIES[family].special_tokens(COUNT, {})

    def test_the_config_outranks_the_name_of_the_file(self, tmp_path: Path) -> None:
        file = write_model(tmp_path, "gpt2.tiktoken", config={"model_type": "whisper"})
        assert "<|startoftranscript|>" in TiktokenTokenizer.from_file(file).special_tokens.ids

    @pytest.mark.parametrize("family", ["kimi", "whisper", "p50k_base"])
    def test_the_callers_family_outranks_everything(self, tmp_path: Path, family: str) -> None:
        file = write_model(tmp_path, "qwen.tiktoken", config=LLAMA3)
        tokenizer = TiktokenTokenizer.from_file(file, family=family)
        assert tokenizer.special_tokens.ids == FAMILIES[family].special_tokens(COUNT, {})

    def test_the_callers_pattern_and_special_tokens_are_used_as_given(self, tmp_path: Path) -> None:
        file = write_model(tmp_path, "mine.tiktoken")
        tokenizer = TiktokenTokenizer.from_file(file, pattern=PATTERN, special_tokens=SPECIAL)
        assert tokenizer.fingerprint == TiktokenTokenizer(small_encoding()).fingerprint
        assert tokenizer.eos_token_ids == (400,)
        assert TiktokenTokenizer.from_file(file, pattern=".").encode("the").ids == list(b"the")

    def test_special_tokens_of_the_caller_replace_those_of_a_family(self, tmp_path: Path) -> None:
        file = write_model(tmp_path, "qwen.tiktoken")
        assert TiktokenTokenizer.from_file(file, special_tokens=SPECIAL).special_tokens.ids == SPECIAL
        assert TiktokenTokenizer.from_file(file, special_tokens={}).special_tokens.ids == {}

    @pytest.mark.parametrize("configs", [{}, {"config": {"model_type": "unheard_of"}}, {"config": {}}])
    def test_an_unknown_family_is_an_error_that_says_what_to_pass(
        self, tmp_path: Path, configs: dict[str, dict[str, Any]]
    ) -> None:
        file = write_model(tmp_path, "mine.tiktoken", **configs)
        for options in ({}, {"pattern": ""}, {"special_tokens": SPECIAL}):
            with pytest.raises(UnsupportedFormatError, match=r"family=.*llama3.*pattern=.*special_tokens=") as caught:
                TiktokenTokenizer.from_file(file, **options)
            assert caught.value.source == str(file)

    def test_a_wrong_name_of_a_family_is_an_error_that_lists_the_known_ones(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="known are cl100k_base"):
            TiktokenTokenizer.from_file(write_model(tmp_path, "qwen.tiktoken"), family="quen")

    @NEEDS_DATA
    def test_a_published_file_is_known_by_its_content(self, tmp_path: Path) -> None:
        file = tmp_path / "renamed.bin"
        file.write_bytes((DATA / "models" / "gpt2-tiktoken" / "gpt2.tiktoken").read_bytes())
        tokenizer = TiktokenTokenizer.from_file(file)
        assert tokenizer.special_tokens.ids == {"<|endoftext|>": 50256}
        assert tokenizer.encode("Hello world<|endoftext|>").ids == [15496, 995, 50256]

    def test_metas_own_file_finds_the_config_of_the_folder_above(self, tmp_path: Path) -> None:
        tokenizer_config = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "add_bos_token": True}
        write_model(tmp_path, "README.md", config=LLAMA3, tokenizer_config=tokenizer_config)
        file = write_model(tmp_path / "original", "tokenizer.model", params={"dim": 4096})
        for tokenizer in (TiktokenTokenizer.from_file(file), create_tokenizer(tmp_path / "original")):
            assert tokenizer.special_tokens.ids["<|eot_id|>"] == COUNT + 9 == tokenizer.eos_token_ids[0]
            assert tokenizer.encode("the", add_special_tokens=True).ids == [COUNT, RANKS[b"the"]]
        elsewhere = write_model(tmp_path / "elsewhere", "tokenizer.model")
        with pytest.raises(UnsupportedFormatError):
            TiktokenTokenizer.from_file(elsewhere)

    def test_whispers_last_line_is_a_rank_without_a_token(self, tmp_path: Path) -> None:
        file = write_model(tmp_path, "multilingual.tiktoken", config={"model_type": "whisper"})
        file.write_bytes(content_of() + b"= %d\n" % COUNT)
        tokenizer = TiktokenTokenizer.from_file(file)
        assert tokenizer.special_tokens.ids["<|endoftext|>"] == COUNT + 1
        assert (tokenizer.token_bytes(COUNT), tokenizer.token_to_id("")) == (b"", COUNT)
        assert tokenizer.decode([RANKS[b"th"], COUNT, RANKS[b"er"]]) == "ther"
        assert tokenizer.encode("the other").offsets[-1][1] == len("the other")


class TestConfigs:
    def test_explicit_ids_stay_and_gaps_are_filled(self, tmp_path: Path) -> None:
        tokenizer = TiktokenTokenizer.from_file(write_model(tmp_path, "tiktoken.model", tokenizer_config=KIMI))
        assert tokenizer.token_to_id("<|im_end|>") == COUNT + 2
        assert tokenizer.id_to_token(COUNT + 3) == f"<|reserved_token_{COUNT + 3}|>"
        assert tokenizer.vocab_size == COUNT + 256
        assert (tokenizer.special_tokens.bos, tokenizer.special_tokens.eos) == ("[BOS]", "[EOS]")
        assert tokenizer.eos_token_ids == (COUNT + 1,)

    @pytest.mark.parametrize("options", [{}, {"family": "kimi"}, {"pattern": PATTERN}])
    def test_added_tokens_that_are_not_special_are_parsed_but_not_skipped(
        self, tmp_path: Path, options: dict[str, str]
    ) -> None:
        file = write_model(tmp_path, "tiktoken.model", tokenizer_config=KIMI)
        tokenizer = TiktokenTokenizer.from_file(file, **options)  # type: ignore[arg-type]
        ids = tokenizer.encode("<think>the</think>the<|im_end|>[EOS]").ids
        the = RANKS[b"the"]
        assert ids == [COUNT + 22, the, COUNT + 23, the, COUNT + 2, COUNT + 1]
        assert tokenizer.decode(ids) == "<think>the</think>the"
        stream = tokenizer.decode_stream()
        assert "".join(stream.step(token_id) or "" for token_id in ids) == "<think>the</think>the"
        assert not {"<think>", "</think>"} & set(tokenizer.special_tokens.ids)
        assert "[EOS]" in tokenizer.special_tokens.ids, "a named token is special, whatever its flag says"
        assert [tokenizer.id_to_token(token_id) for token_id in ids[:1]] == ["<think>"]

    def test_whether_a_token_is_special_is_part_of_the_fingerprint(self, tmp_path: Path) -> None:
        plain = TiktokenTokenizer.from_file(write_model(tmp_path / "a", "tiktoken.model", tokenizer_config=KIMI))
        listed = {**KIMI, "additional_special_tokens": ["<think>"]}
        special = TiktokenTokenizer.from_file(write_model(tmp_path / "b", "tiktoken.model", tokenizer_config=listed))
        assert special.decode([COUNT + 22]) == ""
        assert plain.fingerprint != special.fingerprint

    @pytest.mark.parametrize("before", [True, False])
    @pytest.mark.parametrize("after", [True, False])
    def test_bos_and_eos_are_added_where_the_config_says_so(self, tmp_path: Path, *, before: bool, after: bool) -> None:
        config = {**KIMI, "add_bos_token": before, "add_eos_token": after}
        tokenizer = TiktokenTokenizer.from_file(write_model(tmp_path, "tiktoken.model", tokenizer_config=config))
        expected = [*[COUNT] * before, RANKS[b"the"], *[COUNT + 1] * after]
        encoding = tokenizer.encode("the", add_special_tokens=True)
        assert encoding.ids == expected
        assert encoding.offsets == [*[(0, 0)] * before, (0, 3), *[(3, 3)] * after]
        assert tokenizer.encode_batch(["the"], add_special_tokens=True) == [encoding]
        assert tokenizer.encode("the").ids == [RANKS[b"the"]]

    def test_what_is_added_is_part_of_the_fingerprint(self, tmp_path: Path) -> None:
        configs = [{**KIMI, "add_bos_token": before, "add_eos_token": after} for before in (0, 1) for after in (0, 1)]
        files = [
            write_model(tmp_path / str(number), "tiktoken.model", tokenizer_config=config)
            for number, config in enumerate(configs)
        ]
        assert len({TiktokenTokenizer.from_file(file).fingerprint for file in files}) == len(files)

    def test_every_config_names_ends(self, tmp_path: Path) -> None:
        file = write_model(
            tmp_path,
            "tiktoken.model",
            tokenizer_config=KIMI,
            generation_config={"eos_token_id": [COUNT + 2, COUNT + 1]},
            config={"eos_token_id": 7, "model_type": "kimi_k2"},
        )
        assert TiktokenTokenizer.from_file(file).eos_token_ids == (COUNT + 1, COUNT + 2, 7)

    def test_a_damaged_config_is_corrupt(self, tmp_path: Path) -> None:
        file = write_model(tmp_path, "qwen.tiktoken")
        (tmp_path / "tokenizer_config.json").write_text('{"eos_token": ')
        with pytest.raises(CorruptTokenizerError, match=r"tokenizer_config\.json"):
            TiktokenTokenizer.from_file(file)


class TestDamage:
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "is empty"),
            (b"\n\n", "is empty"),
            (content_of()[:1000], "lacks|cut off"),
            (content_of()[:-4], "cut off"),
            (content_of() + b"dG9rZW4=\n", "cut off"),
            (content_of() + b"dG9rZW4= 7\n", "twice"),
            (content_of() + b"dG9rZW4= -1\n", "negative"),
            (content_of() + b"dG9rZW4= 4294967296\n", "too large"),
            (content_of() + b"IQ== 290\n", "twice"),
            (content_of() + b"dG9rZW4= seven\n", "cut off"),
            (content_of() + b"dG9rZW 290\n", "cut off"),
            (content_of({token: rank for token, rank in RANKS.items() if token != b"a"}), "lacks 1 of the 256"),
            (bytes(range(256)), "no file of ranks"),
            (b"<html>Log in to this network</html>", "no file of ranks"),
            (b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02", "no file of ranks"),
        ],
    )
    def test_a_damaged_file_is_corrupt_and_named(self, tmp_path: Path, content: bytes, said: str) -> None:
        file = tmp_path / "qwen.tiktoken"
        file.write_bytes(content)
        with pytest.raises(CorruptTokenizerError, match=said) as caught:
            TiktokenTokenizer.from_file(file)
        assert str(file) in str(caught.value)
        assert caught.value.source == str(file)

    @pytest.mark.parametrize("token_id", [65, RANKS[b"the"], -1, 2**32, 1.5, "7", None])
    def test_a_special_id_that_is_a_rank_or_no_id_is_refused(self, tmp_path: Path, token_id: Any) -> None:
        file = write_model(tmp_path, "qwen.tiktoken")
        with pytest.raises(ConfigurationError, match=r"<\|end\|>"):
            TiktokenTokenizer.from_file(file, special_tokens={"<|end|>": token_id})

    @pytest.mark.parametrize("token", ["", None, 5])
    def test_a_special_token_without_a_spelling_is_refused(self, tmp_path: Path, token: Any) -> None:
        file = write_model(tmp_path, "qwen.tiktoken")
        with pytest.raises(ConfigurationError, match="no spelling"):
            TiktokenTokenizer.from_file(file, special_tokens={token: 500})

    def test_special_ids_of_a_config_that_are_ranks_are_refused(self, tmp_path: Path) -> None:
        config = {"tokenizer_class": "QWenTokenizer", "added_tokens_decoder": {"65": {"content": "<|end|>"}}}
        with pytest.raises(ConfigurationError, match=r"<\|end\|>"):
            TiktokenTokenizer.from_file(write_model(tmp_path, "qwen.tiktoken", tokenizer_config=config))

    @pytest.mark.parametrize("pattern", ["(", "[", r"\p{Nonsense}", "a**", 5])
    def test_a_pattern_that_is_no_regular_expression_is_refused(self, tmp_path: Path, pattern: Any) -> None:
        with pytest.raises(ConfigurationError, match="no regular expression"):
            TiktokenTokenizer.from_file(write_model(tmp_path, "mine.tiktoken"), pattern=pattern)

    def test_several_files_in_a_folder_are_refused_and_named(self, tmp_path: Path) -> None:
        for name in ("gpt2.tiktoken", "multilingual.tiktoken"):
            write_model(tmp_path, name)
        with pytest.raises(ConfigurationError, match=r"gpt2\.tiktoken, multilingual\.tiktoken"):
            TiktokenTokenizer.from_file(tmp_path)

    @pytest.mark.parametrize("name", ["absent", "absent/qwen.tiktoken", "a\0b", "x" * 5000, ""])
    def test_a_path_that_is_not_there_is_not_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(TokenizerNotFoundError):
            TiktokenTokenizer.from_file(name)

    def test_a_file_that_may_not_be_read_is_an_error_of_ours(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = write_model(tmp_path, "qwen.tiktoken")

        def refuse(_path: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(CorruptTokenizerError, match="Permission denied"):
            TiktokenTokenizer.from_file(file)

    @pytest.mark.parametrize("ending", [b"\r\n", b"\n\n", b" \n"])
    def test_other_line_endings_are_no_damage(self, tmp_path: Path, ending: bytes) -> None:
        file = tmp_path / "qwen.tiktoken"
        file.write_bytes(content_of().replace(b"\n", ending))
        assert TiktokenTokenizer.from_file(file).encode("the").tokens == ["the"]

    def test_ranks_may_have_gaps_and_any_order(self, tmp_path: Path) -> None:
        ranks = {token: 3 * rank for token, rank in reversed(RANKS.items())}
        file = tmp_path / "qwen.tiktoken"
        file.write_bytes(b"".join(b64encode(token) + b"\t%d\n" % rank for token, rank in ranks.items()))
        tokenizer = TiktokenTokenizer.from_file(file, special_tokens={"<|end|>": 1})
        library = tiktoken.Encoding("gaps", pat_str=FAMILIES["qwen"].pattern, mergeable_ranks=ranks, special_tokens={})
        assert tokenizer.encode("the worker's").ids == library.encode("the worker's")
        assert tokenizer.decode([1, 2], skip_special_tokens=False) == "<|end|>"


class TestPickling:
    @pytest.mark.parametrize(
        "options", [{}, {"family": "kimi"}, {"pattern": PATTERN}, {"pattern": PATTERN, "special_tokens": SPECIAL}]
    )
    @pytest.mark.parametrize("is_folder", [False, True])
    def test_a_tokenizer_from_a_file_pickles_by_its_path_and_options(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], *, is_folder: bool
    ) -> None:
        write_model(tmp_path, "tiktoken.model", tokenizer_config={**KIMI, "add_bos_token": True})
        monkeypatch.chdir(tmp_path)
        tokenizer = TiktokenTokenizer.from_file("." if is_folder else "tiktoken.model", **options)
        data = pickle.dumps(tokenizer)
        assert len(data) < 1000
        monkeypatch.chdir("/")
        again = pickle.loads(data)
        assert (again.source, again.fingerprint) == (tokenizer.source, tokenizer.fingerprint)
        assert again.special_tokens == tokenizer.special_tokens
        assert again.encode("<think>the", add_special_tokens=True) == tokenizer.encode(
            "<think>the", add_special_tokens=True
        )
        assert Path(again.source).is_absolute()

    def test_what_the_factory_made_pickles_by_its_source(self, tmp_path: Path) -> None:
        write_model(tmp_path, "tiktoken.model", tokenizer_config=KIMI)
        for source in (tmp_path, tmp_path / "tiktoken.model"):
            tokenizer = create_tokenizer(source)
            assert tokenizer.source == str(source)
            assert pickle.loads(pickle.dumps(tokenizer)).fingerprint == tokenizer.fingerprint

"""TekkenTokenizer: ids and texts as mistral-common gives them, and what it adds to them."""

from __future__ import annotations

import pickle
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from tests.data import HAS_DATA
from tests.oracles import run_steps
from tests.real import model_folder, scratch_folder
from tests.strategies import ids_of, texts
from tests.tekken_files import (
    N_SPECIAL,
    N_TOKENS,
    PATTERN,
    TOKENS,
    UNREACHABLE,
    VERSION_13_TOKENS,
    tekken_content,
    write_tekken,
)
from tokenfacade import ConfigurationError, DecodeError, EncodeError, TekkenTokenizer, create_tokenizer
from tokenfacade.encoding import mend_surrogates

if TYPE_CHECKING:
    from tokenfacade.engine import EngineChoice

SMALL = ["v3", "v13"]
NAMES = [*SMALL, *(["tekken-240911"] if HAS_DATA else [])]
POLICIES = {True: SpecialTokenPolicy.IGNORE, False: SpecialTokenPolicy.KEEP}


@cache
def _file(name: str) -> Path:
    if name not in SMALL:
        return model_folder(name) / "tekken.json"
    special = VERSION_13_TOKENS if name == "v13" else None
    return write_tekken(scratch_folder(), tekken_content(version=name, special=special), name=f"{name}.json")


@cache
def pair(name: str) -> tuple[TekkenTokenizer, Tekkenizer]:
    """Ours and the reference, of the same file."""
    return TekkenTokenizer.from_file(_file(name), engine="reference"), Tekkenizer.from_file(_file(name))


@cache
def _fast() -> TekkenTokenizer:
    return TekkenTokenizer.from_file(_file(NAMES[-1]), engine="fast")


@pytest.fixture(params=NAMES)
def both(request: pytest.FixtureRequest) -> tuple[TekkenTokenizer, Tekkenizer]:
    return pair(request.param)


class TestIds:
    @given(text=texts, added=st.booleans())
    def test_ids_equal_the_reference(self, both: tuple[TekkenTokenizer, Tekkenizer], text: str, *, added: bool) -> None:
        ours, reference = both
        encoding = ours.encode(text, add_special_tokens=added, parse_special_tokens=False)
        assert encoding.ids == reference.encode(mend_surrogates(text), bos=added, eos=False)

    @given(data=st.data())
    def test_special_tokens_spelled_in_a_text_are_found_and_cut_it(
        self, both: tuple[TekkenTokenizer, Tekkenizer], data: st.DataObject
    ) -> None:
        ours, reference = both
        special = dict(ours.special_tokens.ids)
        spelled = st.sampled_from([*special, "<SPECIAL_", "<SPECIAL_9999999>", "[/INST", "<s", "]"])
        text = "".join(data.draw(st.lists(texts | spelled, max_size=6)))
        expected = []
        for part in re.split("(" + "|".join(map(re.escape, special)) + ")", mend_surrogates(text)):
            expected += [special[part]] if part in special else reference.encode(part, bos=False, eos=False)
        assert ours.encode(text).ids == expected
        assert ours.encode(text, add_special_tokens=True).ids == [reference.bos_id, *expected]

    def test_names_of_unused_ids_are_found_by_default_and_never_in_the_text_of_users(
        self, both: tuple[TekkenTokenizer, Tekkenizer]
    ) -> None:
        ours, _ = both
        assert ours.encode("a<SPECIAL_25>b").tokens == ["a", "<SPECIAL_25>", "b"]
        assert 25 not in ours.encode("a<SPECIAL_25>b", parse_special_tokens=False).ids

    @given(data=st.data())
    def test_offsets_cover_the_text(self, both: tuple[TekkenTokenizer, Tekkenizer], data: st.DataObject) -> None:
        text = data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=20)) + "<s>x[INST]"
        encoding = both[0].encode(text, add_special_tokens=True)
        assert encoding.offsets[0] == (0, 0)
        assert encoding.offsets[1][0] == 0
        assert encoding.offsets[-1] == (len(text) - 6, len(text))

    @given(data=st.data())
    def test_a_text_may_be_cut_before_every_special_token(
        self, both: tuple[TekkenTokenizer, Tekkenizer], data: st.DataObject
    ) -> None:
        ours, _ = both
        before, token, after = data.draw(texts), data.draw(st.sampled_from(sorted(ours.cut_points()))), data.draw(texts)
        assert ours.encode(before + token + after).ids == ours.encode(before).ids + ours.encode(token + after).ids
        assert ours.cut_points() == set(ours.special_tokens.ids)

    def test_without_a_bos_in_the_file_none_is_added(self, tmp_path: Path) -> None:
        content = tekken_content(version="v13", special=["[INST]", "[/INST]"])
        tokenizer = TekkenTokenizer.from_file(write_tekken(tmp_path, content))
        assert tokenizer.encode("the", add_special_tokens=True) == tokenizer.encode("the")
        assert tokenizer.added_around() == (0, 0)
        assert tokenizer.eos_token_ids == ()

    def test_a_vocabulary_may_have_no_special_tokens_at_all(self, tmp_path: Path) -> None:
        config = {"default_num_special_tokens": 0, "default_vocab_size": 260}
        content = tekken_content(version="v13", special=[], config=config)
        tokenizer = TekkenTokenizer.from_file(write_tekken(tmp_path, content))
        assert tokenizer.vocab_size == 260
        assert tokenizer.decode(tokenizer.encode("the <s>", add_special_tokens=True)) == "the <s>"

    def test_special_tokens_may_begin_with_any_character(self, tmp_path: Path) -> None:
        content = tekken_content(version="v13", special=["<s>", "😊!", "\ufffdx"])
        tokenizer = TekkenTokenizer.from_file(write_tekken(tmp_path, content))
        assert tokenizer.encode("😊!").ids == tokenizer.encode("\ud83d\ude0a!").ids == [1]
        assert tokenizer.encode("\ud800x").ids == [2]

    @pytest.mark.parametrize(
        "text", [" " * 1_000_000, "a" * 300_000, "[" * 200_000, "<SPECIAL_" * 20_000, "\n" * 10**6]
    )
    def test_long_unbroken_texts_encode(self, text: str) -> None:
        tokenizer = pair("v3")[0]
        assert tokenizer.decode(tokenizer.encode(text)) == text

    @pytest.mark.parametrize("not_a_text", [None, 5, b"<s>", ["<s>"]])
    def test_what_is_no_text_is_refused(self, not_a_text: Any) -> None:
        tokenizer = pair("v3")[0]
        for call in (tokenizer.encode, tokenizer.count_tokens, tokenizer.token_to_id):
            with pytest.raises(EncodeError):
                call(not_a_text)


class TestFastEngine:
    @given(text=texts, added=st.booleans(), parsed=st.booleans())
    def test_ids_equal_those_of_the_reference(self, text: str, *, added: bool, parsed: bool) -> None:
        fast, reference = _fast(), pair(NAMES[-1])[0]
        assert fast.engine == "fast"
        for given_text in (text, f"{text}[INST]{text}<SPECIAL_25>"):
            flags = {"add_special_tokens": added, "parse_special_tokens": parsed}
            expected = reference.encode(given_text, **flags)
            assert fast.encode(given_text, **flags) == expected
            assert fast.encode_batch([given_text, ""], **flags)[0] == expected
            assert fast.count_tokens(given_text, **flags) == len(expected)

    def test_with_auto_it_is_made_in_the_background(self) -> None:
        tokenizer = TekkenTokenizer.from_file(_file("v3"))
        assert tokenizer.wait_for_engine() == "fast"
        assert tokenizer.encode("<s>the") == pair("v3")[0].encode("<s>the")

    def test_another_pattern_stays_with_the_reference(self, tmp_path: Path) -> None:
        file = write_tekken(tmp_path, tekken_content(config={"pattern": PATTERN + "|x"}))
        assert "pattern" in TekkenTokenizer.from_file(file).wait_for_engine().reason
        with pytest.raises(ConfigurationError, match="pattern"):
            TekkenTokenizer.from_file(file, engine="fast")

    def test_tokens_that_no_merge_leads_to_stay_with_the_reference(self, tmp_path: Path) -> None:
        content = tekken_content(tokens=[*TOKENS[: N_TOKENS - 1], *UNREACHABLE])
        tokenizer = TekkenTokenizer.from_file(write_tekken(tmp_path, content))
        assert "refuses" in tokenizer.wait_for_engine().reason
        assert tokenizer.encode("wor").ids == [N_SPECIAL + N_TOKENS - 1]

    def test_special_tokens_that_begin_alike_stay_with_the_reference(self, tmp_path: Path) -> None:
        file = write_tekken(tmp_path, tekken_content(version="v13", special=["<s>", "[IMG", "[IMG]"]))
        assert "begins with another" in TekkenTokenizer.from_file(file).wait_for_engine().reason


class TestTexts:
    @given(data=st.data(), skip=st.booleans())
    def test_decoded_texts_and_streams_equal_the_reference(
        self, both: tuple[TekkenTokenizer, Tekkenizer], data: st.DataObject, *, skip: bool
    ) -> None:
        ours, reference = both
        ids = data.draw(ids_of(ours))
        known = [token_id for token_id in ids if 0 <= token_id < reference.n_words]
        expected = reference.decode(known, POLICIES[skip])
        assert ours.decode(ids, skip_special_tokens=skip) == expected
        stream = ours.decode_stream(skip_special_tokens=skip)
        assert "".join(run_steps(stream.step, ids)) + (stream.flush() or "") == expected

    @given(data=st.data(), skip=st.booleans())
    def test_bytes_equal_the_reference(
        self, both: tuple[TekkenTokenizer, Tekkenizer], data: st.DataObject, *, skip: bool
    ) -> None:
        ours, reference = both
        ids = data.draw(st.lists(st.integers(0, reference.n_words - 1), max_size=20))
        pieces = [reference.id_to_byte_piece(token_id, POLICIES[skip]) for token_id in ids]
        assert ours.decode_bytes(ids, skip_special_tokens=skip) == b"".join(pieces)
        assert [ours.token_bytes(token_id) for token_id in ids] == [
            reference.id_to_byte_piece(token_id, SpecialTokenPolicy.KEEP) for token_id in ids
        ]

    @pytest.mark.parametrize("skip", [True, False])
    def test_a_special_token_parts_the_halves_of_a_character_skipped_or_not(
        self, both: tuple[TekkenTokenizer, Tekkenizer], *, skip: bool
    ) -> None:
        ours, reference = both
        first = N_SPECIAL if reference.n_words < 1000 else 1000
        halves = [first + 0xF0, first + 0x9F, 2, first + 0x98, first + 0x8A]
        expected = "\ufffd\ufffd\ufffd" if skip else "\ufffd</s>\ufffd\ufffd"
        assert ours.decode(halves, skip_special_tokens=skip) == reference.decode(halves, POLICIES[skip]) == expected
        assert ours.decode([*halves[:2], -1, 10**9, *halves[3:]], skip_special_tokens=skip) == "😊"

    def test_flags_of_control_are_no_matter(self) -> None:
        ours, reference = pair("v13")
        assert reference._all_special_tokens[3]["is_control"] is False
        assert ours.decode([3, N_SPECIAL + 65]) == reference.decode([3, N_SPECIAL + 65]) == "A"

    @pytest.mark.parametrize("ids", [[None], ["1"], [1, 2.5], 5, None])
    def test_what_is_no_id_is_refused(self, ids: Any) -> None:
        with pytest.raises(DecodeError):
            pair("v3")[0].decode(ids)


class TestWhatLiesBeside:
    def test_chat_templates_and_the_names_of_special_tokens(self, tmp_path: Path) -> None:
        write_tekken(tmp_path)
        (tmp_path / "chat_template.jinja").write_text("{{ bos_token }}[INST]{{ messages[0].content }}[/INST]")
        tokenizer = TekkenTokenizer.from_file(tmp_path)
        assert tokenizer.special_tokens.variables == {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "pad_token": "<pad>",
        }
        encoding = tokenizer.encode_chat([{"role": "user", "content": "the"}])
        assert encoding.tokens == ["<s>", "[INST]", "the", "[/INST]"]

    def test_every_id_that_ends_a_generation(self, tmp_path: Path) -> None:
        write_tekken(tmp_path, generation_config={"eos_token_id": [2, 19]}, config={"eos_token_id": 11})
        assert TekkenTokenizer.from_file(tmp_path).eos_token_ids == (2, 19, 11)

    def test_a_config_may_name_other_tokens_or_none(self, tmp_path: Path) -> None:
        write_tekken(tmp_path, tokenizer_config={"eos_token": "[/INST]", "pad_token": None})
        tokenizer = TekkenTokenizer.from_file(tmp_path)
        assert (tokenizer.special_tokens.eos, tokenizer.special_tokens.pad) == ("[/INST]", None)
        assert tokenizer.eos_token_ids == (4,)

    def test_the_callers_template_replaces_them(self, tmp_path: Path) -> None:
        write_tekken(tmp_path, tokenizer_config={"chat_template": "{{ messages[0].content }}"})
        plain = TekkenTokenizer.from_file(tmp_path)
        other = TekkenTokenizer.from_file(tmp_path, chat_template="{{ eos_token }}")
        message = [{"role": "user", "content": "the"}]
        assert plain.apply_chat_template(message) == "the"
        assert other.apply_chat_template(message) == "</s>"
        assert pickle.loads(pickle.dumps(other)).apply_chat_template(message) == "</s>"
        assert other.vocabulary_fingerprint == plain.vocabulary_fingerprint
        assert other.fingerprint != plain.fingerprint


class TestIdentity:
    def test_it_pickles_by_source(self, tmp_path: Path) -> None:
        write_tekken(tmp_path)
        tokenizer = TekkenTokenizer.from_file(tmp_path, engine="reference")
        assert tokenizer.source == str(tmp_path)
        assert repr(tokenizer) == f"<TekkenTokenizer {str(tmp_path)!r}>"
        assert len(pickle.dumps(tokenizer)) < 1000
        again = pickle.loads(pickle.dumps(tokenizer))
        assert again.fingerprint == tokenizer.fingerprint
        assert again.engine.reason == tokenizer.engine.reason == 'engine="reference" was asked for'

    def test_what_stands_for_something_else_pickles_as_that(self, tmp_path: Path) -> None:
        file = write_tekken(tmp_path)
        tokenizer = TekkenTokenizer.from_file(file, source=f"file:{tmp_path}")
        assert tokenizer.source == f"file:{tmp_path}"
        assert pickle.loads(pickle.dumps(tokenizer)).source == str(tmp_path)

    @pytest.mark.parametrize("engine", ["auto", "reference"])
    def test_what_the_factory_made_keeps_its_choice_of_engine(self, tmp_path: Path, engine: EngineChoice) -> None:
        write_tekken(tmp_path)
        again = pickle.loads(pickle.dumps(create_tokenizer(tmp_path, engine=engine)))
        assert (type(again), again._accelerator.choice) == (TekkenTokenizer, engine)

    def test_the_factory_knows_it_by_content(self, tmp_path: Path) -> None:
        file = write_tekken(tmp_path, name="vocabulary.txt")
        tokenizer = create_tokenizer(file)
        assert (type(tokenizer), tokenizer.backend) == (TekkenTokenizer, "tekken")

    def test_fingerprints_tell_what_differs(self, tmp_path: Path) -> None:
        contents = [
            tekken_content(),
            tekken_content(version="v7"),
            tekken_content(config={"pattern": r"\w+|\W"}),
            tekken_content(config={"default_vocab_size": N_SPECIAL + 260}),
            tekken_content(special=["<unk>", "<s>"]),
        ]
        files = [write_tekken(tmp_path / str(number), content) for number, content in enumerate(contents)]
        fingerprints = [TekkenTokenizer.from_file(file).fingerprint for file in files]
        assert fingerprints[0] == fingerprints[1]  # only chats differ between versions
        assert len(set(fingerprints)) == len(fingerprints) - 1

    @pytest.mark.parametrize("engine", ["slow", None, "", True])
    def test_an_engine_that_there_is_not_is_refused(self, tmp_path: Path, engine: Any) -> None:
        with pytest.raises(ConfigurationError, match="engine="):
            TekkenTokenizer.from_file(write_tekken(tmp_path), engine=engine)

    def test_spellings_are_those_of_byte_level_vocabularies(self) -> None:
        tokenizer = pair("v3")[0]
        assert tokenizer.encode(" the[INST]").tokens == ["Ġthe", "[INST]"]
        for token_id in range(tokenizer.vocab_size):
            assert tokenizer.token_to_id(tokenizer.id_to_token(token_id) or "") == token_id

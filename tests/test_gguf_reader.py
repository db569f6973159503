"""The reader of GGUF metadata: every type of value, both byte orders, and headers that lie."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import gguf as reference
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data import DATA, HAS_DATA
from tests.gguf_files import CONTROL, Typed, byte_level, gguf, scored, unigram, wordpiece, write
from tokenfacade import CorruptTokenizerError, TokenFacadeError, UnsupportedFormatError
from tokenfacade.backends import gguf_reader
from tokenfacade.backends.gguf import GGUFTokenizer
from tokenfacade.backends.gguf_reader import Metadata, read_metadata

NUMBERS = {
    **{"u8": 255, "i8": -128, "u16": 65535, "i16": -32768, "u32": 2**32 - 1, "i32": -(2**31), "f32": 0.5},
    **{"bool": True, "u64": 2**64 - 1, "i64": -(2**63), "f64": 0.1},
}


def read(path: Path, content: bytes) -> Metadata:
    file = path / "model.gguf"
    file.write_bytes(content)
    return read_metadata(file)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [2, 3])
def test_every_type_of_value_is_read(tmp_path: Path, order: str, version: int) -> None:
    values: dict[str, Any] = {f"general.{kind}": Typed(kind, value) for kind, value in NUMBERS.items()}  # type: ignore[arg-type]
    values |= {f"general.{kind}s": Typed(kind, [value] * 3, is_array=True) for kind, value in NUMBERS.items()}  # type: ignore[arg-type]
    values |= {
        "general.text": "é😊",
        "general.texts": ["", "a", "世界"],
        "general.empty": Typed("u8", [], is_array=True),
    }
    values |= {"general.nested": [["a"], ["b", "c"]], "general.deep": [[[1, 2]], [[3]]]}
    found = read(tmp_path, gguf(values, order=order, version=version))._values
    for kind, value in NUMBERS.items():
        assert found[f"general.{kind}"] == value
        assert found[f"general.{kind}s"] == (value,) * 3
    assert found["general.text"] == "é😊"
    assert found["general.texts"] == ["", "a", "世界"]
    assert found["general.empty"] == ()
    assert found["general.nested"] == [["a"], ["b", "c"]]
    assert found["general.deep"] == [[(1, 2)], [(3,)]]


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_is_not_wanted_is_passed_by(tmp_path: Path, order: str) -> None:
    values = {f"llama.{kind}": Typed(kind, [value] * 1000, is_array=True) for kind, value in NUMBERS.items()}  # type: ignore[arg-type]
    values |= {f"llama.{kind}1": Typed(kind, value) for kind, value in NUMBERS.items()}  # type: ignore[arg-type]
    more: dict[str, Any] = {"llama.text": b"\xff", "llama.texts": [b"\xff", b""], "llama.nested": [["a"], ["b"]]}
    found = read(tmp_path, gguf({**values, **more, "general.name": "here"}, order=order))
    assert found._values == {"general.name": "here"}


def test_a_file_of_the_reference_writer_is_read_alike(tmp_path: Path) -> None:
    file = tmp_path / "written.gguf"
    writer = reference.GGUFWriter(file, "llama")
    writer.add_name("a model")
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "é", "<s>"])
    writer.add_token_types([1, 1, 3])
    writer.add_token_scores([0.0, -1.5, 2.0])
    writer.add_add_bos_token(True)  # noqa: FBT003
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    found = read_metadata(file)
    assert found.text("general.name") == "a model"
    assert found.texts("tokenizer.ggml.tokens") == ["a", "é", "<s>"]
    assert found.numbers("tokenizer.ggml.token_type") == (1, 1, 3)
    assert found.numbers("tokenizer.ggml.scores") == (0.0, -1.5, 2.0)
    assert found.flag("tokenizer.ggml.add_bos_token") is True
    assert found.integer("tokenizer.ggml.bos_token_id") is None


@pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")
@pytest.mark.parametrize("file", sorted((DATA / "models").glob("gguf-*/*.gguf")), ids=lambda file: file.stem)
def test_real_files_are_read_as_the_reference_reader_does(file: Path) -> None:
    fields = reference.GGUFReader(file).fields
    ours = read_metadata(file)
    expected = {key: field.contents() for key, field in fields.items() if key.startswith(("tokenizer.", "general."))}
    assert len(expected) > 7
    assert {key: list(value) if isinstance(value, tuple) else value for key, value in ours._values.items()} == expected


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b"", CorruptTokenizerError, "is empty"),
        (b"GGU", CorruptTokenizerError, "ends within"),
        (b"GGML" + bytes(60), UnsupportedFormatError, "no GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), UnsupportedFormatError, "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 4, 0, 0), UnsupportedFormatError, "version 4"),
        (b"GGUF" + struct.pack(">IQQ", 1, 0, 0), UnsupportedFormatError, "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63), CorruptTokenizerError, "9223372036854775808 keys"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62) + bytes(20), CorruptTokenizerError, "bytes in a text"),
        (gguf({"general.a": Typed("u8", 1)})[:-5] + b"\x63\0\0\0\0", CorruptTokenizerError, "unknown type 99"),
        (gguf([("general.a", 1), ("general.a", 2)]), CorruptTokenizerError, "'general.a' twice"),
        (gguf({"general.a": 1}).replace(b"l.a", b"l.\xff"), CorruptTokenizerError, "not UTF-8"),
        (gguf({"general.a": b"\xc3"}), CorruptTokenizerError, "not UTF-8"),
        (gguf({"general.a": [b"a", b"\xc3"]}), CorruptTokenizerError, "not UTF-8"),
        (gguf({"general.a": [[[[[[1]]]]]]}), CorruptTokenizerError, "arrays in arrays"),
        (gguf({"llama.a": [[[[[[1]]]]]]}), CorruptTokenizerError, "arrays in arrays"),
        (gguf({"general.a": [1, 2, 3]})[:-1], CorruptTokenizerError, "3 numbers, where 11 bytes are left"),
        (gguf({"general.a": ["a", "b"]})[:-1], CorruptTokenizerError, "damaged"),
    ],
)
def test_a_header_that_lies_is_an_error(tmp_path: Path, content: bytes, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        read(tmp_path, content)


def _lying(kind: int, count: int, *, key: str = "general.a") -> bytes:
    """An array that says it has far more than it has."""
    pair = struct.pack("<Q", len(key)) + key.encode() + struct.pack("<IIQ", 9, kind, count)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair + bytes(4096)


@pytest.mark.parametrize("key", ["general.a", "llama.a"])
@pytest.mark.parametrize("kind", range(14))
@pytest.mark.parametrize("count", [2**64 - 1, 2**40, 2**31, 5000])
def test_counts_beyond_the_file_take_no_memory(tmp_path: Path, kind: int, count: int, key: str) -> None:
    tracemalloc.start()
    with pytest.raises(CorruptTokenizerError):
        read(tmp_path, _lying(kind, count, key=key))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("key", ["general.a", "llama.a"])
def test_there_is_a_limit_to_texts_and_to_bytes(tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_reader, "MAX_ITEMS", 100)
    monkeypatch.setattr(gguf_reader, "MAX_BYTES", 3000)
    read(tmp_path, gguf({key: ["a"] * 100}))
    with pytest.raises(CorruptTokenizerError, match="more than 100 texts"):
        read(tmp_path, gguf({key: ["a"] * 101}))
    with pytest.raises(CorruptTokenizerError, match="more than 3000 bytes"):
        read(tmp_path, gguf({key: "a" * 4000}))


def test_a_large_file_is_read_no_further_than_its_metadata(tmp_path: Path) -> None:
    file = tmp_path / "large.gguf"
    file.write_bytes(gguf({"general.name": "large"}))
    with file.open("r+b") as stream:
        stream.truncate(1 << 36)  # a hole, which takes no room on the disk
    tracemalloc.start()
    assert read_metadata(file).text("general.name") == "large"
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_long_texts_may_lie_across_what_is_fetched_at_once(tmp_path: Path) -> None:
    texts = [letter * length for letter, length in zip("abcdefg", (0, 1, 1 << 20, 5, (1 << 21) + 3, 7, 9), strict=True)]
    found = read(tmp_path, gguf({"general.texts": texts * 2, "llama.x": texts, "general.name": "end"}))
    assert found.texts("general.texts") == texts * 2
    assert found.text("general.name") == "end"


@pytest.mark.parametrize(
    ("value", "method"),
    [
        *((1, method) for method in ("text", "flag", "texts", "numbers")),
        *(("a", method) for method in ("integer", "flag", "texts", "numbers")),
        *((["a"], method) for method in ("integer", "flag", "text", "numbers")),
        *((True, method) for method in ("integer", "texts", "text", "numbers")),
        *(([["a"]], method) for method in ("integer", "texts", "text", "numbers")),
        *(([1], method) for method in ("integer", "texts", "text", "flag")),
    ],
)
def test_a_value_of_another_kind_is_damage(tmp_path: Path, value: Any, method: str) -> None:
    metadata = read(tmp_path, gguf({"general.a": value}))
    with pytest.raises(CorruptTokenizerError, match=r"as general\.a, not"):
        getattr(metadata, method)("general.a")
    assert getattr(metadata, method)("general.b") is None


def test_a_part_of_a_set_names_the_first(tmp_path: Path) -> None:
    values = {"split.no": Typed("u16", 2), "split.count": Typed("u16", 5)}
    file = write(tmp_path, values, name="model-00003-of-00005.gguf")
    with pytest.raises(CorruptTokenizerError, match=r"part 3 of a set.*load the file model-00001-of-00005\.gguf"):
        read_metadata(file)
    with pytest.raises(CorruptTokenizerError, match="load the first file"):
        read_metadata(write(tmp_path, values, name="other.gguf"))
    first = write(tmp_path, {"split.no": Typed("u16", 0)}, name="model-00001-of-00005.gguf")
    assert read_metadata(first).integer("split.no") == 0


SMALL = [
    gguf(
        byte_level(
            ("<s>", CONTROL), words=["Ġhello", "ing"], bos_token_id=263, **{"tokenizer.chat_template": "{{ x }}"}
        )
    ),
    gguf(scored(words=["▁hello", "ing"]), order=">"),
    gguf(unigram({"▁a": -1.0, "b": -2.0, "▁": -3.0}, add_space_prefix=True)),
    gguf(wordpiece(["▁hello", "ing", "▁", "a"])),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_but_never_fails_otherwise(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(SMALL)))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    # Most of the file are spellings: the numbers between them are hit more often near the beginning of a key.
    places = st.integers(0, max(len(content) - 1, 0)) | st.integers(0, 120)
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(places)
        if place < len(content):
            content[place] = data.draw(st.integers(0, 255))
    file = tmp_path / "damaged.gguf"
    file.write_bytes(bytes(content))
    try:
        tokenizer = GGUFTokenizer.from_file(file, engine="reference")
    except TokenFacadeError:
        return
    ids = tokenizer.encode("hello ing<s> é😊", add_special_tokens=True).ids
    assert all(0 <= token_id < tokenizer.vocab_size for token_id in ids)
    tokenizer.decode(range(tokenizer.vocab_size))

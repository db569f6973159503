"""From a source to a tokenizer: what is looked for in which order, and what never leaves the machine."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import gguf_files
from tests.data import ROOT
from tests.hub_fixtures import REPO, SECRET
from tests.hub_fixtures import cache as cache
from tests.hub_fixtures import connections as connections
from tests.hub_fixtures import hub as hub
from tests.hub_fixtures import hub_environment as hub_environment
from tests.rank_files import content_of, publish, write_model
from tests.tekken_files import tekken_content
from tokenfacade import (
    ConfigurationError,
    CorruptTokenizerError,
    LoadError,
    MissingDependencyError,
    TokenizerNotFoundError,
    UnsupportedFormatError,
    create_tokenizer,
)
from tokenfacade.backends import sentencepiece_model as models
from tokenfacade.backends.gguf import GGUFTokenizer
from tokenfacade.backends.sentencepiece import SentencePieceTokenizer
from tokenfacade.backends.tekken import TekkenTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fake_hub import FakeHub
    from tokenfacade.engine import EngineChoice

TOKENIZER_JSON = json.dumps(
    {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {"hello": 0, "world": 1, "?": 2}, "unk_token": "?"},
    }
).encode()
QWEN = json.dumps({"tokenizer_class": "QWenTokenizer"}).encode()
SENTENCEPIECE = b"\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00\x18\x02\x0a\x0c"


def sentencepiece_model() -> bytes:
    """The smallest model that is whole."""
    pieces = [models.SentencePiece("<unk>", kind="unknown"), models.SentencePiece("▁a", -1.0)]
    return models.write_model(pieces, algorithm="unigram")


def tekken_data() -> bytes:
    """A small Tekken vocabulary."""
    return json.dumps(tekken_content()).encode()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a home and a published encoding of its own."""
    place = tmp_path / "work"
    (place / "home").mkdir(parents=True)
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(place / "home"))
    monkeypatch.setenv("USERPROFILE", str(place / "home"))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(place))
    publish(monkeypatch, "o200k_base", "cl100k_base")
    (place / "o200k_base.tiktoken").write_bytes(content_of())
    return place


def hugging_face_in(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_bytes(TOKENIZER_JSON)
    return folder


class TestOrder:
    @pytest.mark.parametrize(
        ("source", "backend", "canonical"),
        [
            ("gpt-4o", "tiktoken", "tiktoken:o200k_base"),
            ("o200k_base", "tiktoken", "tiktoken:o200k_base"),
            ("openai/gpt-4o-mini", "tiktoken", "tiktoken:o200k_base"),
            ("ft:gpt-4o:org::id", "tiktoken", "tiktoken:o200k_base"),
            ("davinci-002:ft-org-2023", "tiktoken", "tiktoken:cl100k_base"),
            ("tiktoken:gpt-4o", "tiktoken", "tiktoken:o200k_base"),
            ("tiktoken:o200k_base", "tiktoken", "tiktoken:o200k_base"),
            ("mock:", "mock", "mock:"),
        ],
    )
    def test_names_and_schemes_lead_to_their_backends(
        self, workplace: Path, connections: Callable[[], list[object]], source: str, backend: str, canonical: str
    ) -> None:
        attempts = connections()
        tokenizer = create_tokenizer(source)
        assert (tokenizer.backend, tokenizer.source) == (backend, canonical)
        assert attempts == []

    @pytest.mark.parametrize("name", ["gpt-4o", "org/name", "davinci:ft-org", "ft:gpt-4o:org::id", "x.json"])
    def test_an_existing_path_wins_over_a_name(self, workplace: Path, name: str) -> None:
        folder = hugging_face_in(workplace / name)
        tokenizer = create_tokenizer(name)
        assert (tokenizer.backend, tokenizer.source) == ("huggingface", str(folder))

    def test_a_scheme_wins_over_an_existing_path(self, workplace: Path) -> None:
        hugging_face_in(workplace / "mock:")
        hugging_face_in(workplace / "tiktoken:gpt-4o")
        assert create_tokenizer("mock:").backend == "mock"
        assert create_tokenizer("tiktoken:gpt-4o").backend == "tiktoken"
        assert create_tokenizer("./mock:").backend == "huggingface"

    def test_only_a_known_scheme_is_one(self, workplace: Path) -> None:
        for name in ("gguf:model", "models+http/hf:x", "Mock:"):
            hugging_face_in(workplace / name)
            assert create_tokenizer(name).backend == "huggingface"

    def test_a_name_wins_over_a_repository(self, workplace: Path, hub: FakeHub) -> None:
        hub.add("gpt-4o", {"tokenizer.json": TOKENIZER_JSON})
        assert create_tokenizer("gpt-4o").backend == "tiktoken"
        assert hub.requests == []
        assert create_tokenizer("hf:gpt-4o").backend == "huggingface"

    def test_what_is_neither_path_nor_name_is_a_repository(self, workplace: Path, hub: FakeHub) -> None:
        commit = hub.add(REPO, {"tokenizer.json": TOKENIZER_JSON})
        assert create_tokenizer(REPO).source == f"hf:{REPO}@{commit}"

    @pytest.mark.parametrize(
        "source", ["./gone", "gone/model/here", "C:\\gone", "~/gone", "gone.json", "gone/", "org/tokenizer.model"]
    )
    def test_a_path_that_is_not_there_is_never_sent_to_the_network(
        self, workplace: Path, connections: Callable[[], list[object]], source: str
    ) -> None:
        attempts = connections()
        for given in (source, Path(source), f"file:{source}"):
            with pytest.raises(TokenizerNotFoundError, match="there is no file or folder"):
                create_tokenizer(given)
        assert attempts == []

    @pytest.mark.parametrize("scheme", ["grpc", "vllm+http", "sglang+https"])
    def test_a_scheme_of_a_later_release_is_an_error_that_does_not_repeat_a_password(self, scheme: str) -> None:
        with pytest.raises(UnsupportedFormatError, match=scheme.replace("+", r"\+")) as caught:
            create_tokenizer(f"{scheme}://user:{SECRET}@host:1/model")
        assert SECRET not in f"{caught.value!r} {caught.value.source}"


class TestPaths:
    def test_the_same_folder_can_be_written_in_many_ways(self, workplace: Path) -> None:
        folder = hugging_face_in(workplace / "home" / "a model")
        url = folder.as_uri()
        sources: list[str | Path] = [
            *(folder, str(folder), Path("home/a model"), "home/a model", "./home/a model", "home/a model/"),
            *("~/a model", Path("~/a model"), "file:~/a model", "file:home/a model", f"file:{folder}"),
            *(url, url.replace("file://", "file://localhost")),
        ]
        assert "%20" in url
        assert {create_tokenizer(source).source for source in sources} == {str(folder)}

    def test_a_percent_sign_is_itself_where_there_is_no_url(self, workplace: Path) -> None:
        folder = hugging_face_in(workplace / "100%20")
        assert create_tokenizer("file:100%20").source == create_tokenizer("100%20").source == str(folder)

    def test_a_file_is_recognised_by_content_whatever_it_is_called(self, workplace: Path) -> None:
        (workplace / "a.model").write_bytes(TOKENIZER_JSON)
        write_model(workplace / "qwen", "tokenizer.model", tokenizer_config=json.loads(QWEN))
        assert create_tokenizer("a.model").backend == "huggingface"
        assert create_tokenizer("qwen/tokenizer.model").backend == "tiktoken"
        assert create_tokenizer("qwen").backend == "tiktoken"

    def test_tokenizer_json_wins_over_the_other_files_of_a_folder(self, workplace: Path) -> None:
        write_model(workplace, "qwen.tiktoken", tokenizer_config=json.loads(QWEN))
        (workplace / "tokenizer.model").write_bytes(SENTENCEPIECE)
        assert create_tokenizer(hugging_face_in(workplace)).backend == "huggingface"

    def test_several_files_of_ranks_are_refused_and_named(self, workplace: Path) -> None:
        for name in ("a.tiktoken", "b.tiktoken"):
            write_model(workplace / "both", name)
        with pytest.raises(ConfigurationError, match=r"a\.tiktoken, b\.tiktoken"):
            create_tokenizer("both/")

    def test_several_models_are_refused_as_by_their_backend(self, workplace: Path) -> None:
        model, metadata = sentencepiece_model(), gguf_files.gguf(gguf_files.scored())
        folders: dict[str, tuple[Any, dict[str, bytes]]] = {
            "pieces": (SentencePieceTokenizer, {"spiece.model": model, "other.model": model}),
            "gguf": (GGUFTokenizer, {"a.gguf": metadata, "b.gguf": metadata}),
            "tekken": (TekkenTokenizer, {"tekken_1.json": tekken_data(), "tekken_2.json": tekken_data()}),
        }
        for name, (backend, files) in folders.items():
            for file, data in files.items():
                (workplace / name).mkdir(exist_ok=True)
                (workplace / name / file).write_bytes(data)
            for load in (create_tokenizer, backend.from_file):
                with pytest.raises(ConfigurationError, match=", ".join(sorted(files))):
                    load(workplace / name)

    @pytest.mark.parametrize(
        ("names", "backend"),
        [
            (["spiece.model"], "sentencepiece"),
            (["a.model", "ranks.model", "config.json"], "sentencepiece"),
            (["tokenizer.model", "a.model"], "sentencepiece"),
            (["tekken_240911.json"], "tekken"),
            (["tekken.json", "tekken_240911.json", "tokenizer.model", "a.gguf"], "tekken"),
            (["tokenizer.model", "a.gguf", "b.gguf"], "sentencepiece"),
            (["a.gguf"], "gguf"),
            (["m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"], "gguf"),
        ],
    )
    def test_a_folder_is_loaded_as_the_first_kind_that_it_holds(
        self, workplace: Path, names: list[str], backend: str
    ) -> None:
        content = {".model": sentencepiece_model(), ".gguf": gguf_files.gguf(gguf_files.scored()), ".json": b"{}"}
        folder = workplace / "folder"
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(tekken_data() if name.startswith("tekken") else content[Path(name).suffix])
        if "ranks.model" in names:
            (folder / "ranks.model").write_bytes(content_of())
        tokenizer = create_tokenizer(folder)
        assert (tokenizer.backend, tokenizer.source) == (backend, str(folder))
        again = pickle.loads(pickle.dumps(tokenizer))
        assert (again.source, again.fingerprint) == (tokenizer.source, tokenizer.fingerprint)

    def test_a_model_that_is_a_pointer_is_told(self, workplace: Path) -> None:
        (workplace / "home" / "spiece.model").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
        for load in (create_tokenizer, SentencePieceTokenizer.from_file):
            with pytest.raises(CorruptTokenizerError, match="git lfs pull"):
                load(workplace / "home")

    def test_a_folder_without_a_tokenizer_is_not_found(self, workplace: Path) -> None:
        (workplace / "home" / "config.json").write_text("{}")
        with pytest.raises(TokenizerNotFoundError, match=r"tokenizer\.json"):
            create_tokenizer("home")

    @pytest.mark.parametrize(
        ("content", "error", "said"),
        [
            (b"", CorruptTokenizerError, "empty"),
            (b"version https://git-lfs.github.com/spec/v1\n", CorruptTokenizerError, "git lfs pull"),
            ((9).to_bytes(8, "little") + b"{}       ", UnsupportedFormatError, "safetensors"),
            (b"PK\x03\x04", UnsupportedFormatError, "archive"),
            (pickle.dumps([1]), UnsupportedFormatError, "pickle"),
            (b"\0" * 99, UnsupportedFormatError, "known"),
            (b'{"model": ', CorruptTokenizerError, "JSON"),
            (content_of(), UnsupportedFormatError, "family="),
        ],
    )
    def test_a_file_that_is_no_tokenizer_is_told_by_what_it_is(
        self, workplace: Path, content: bytes, error: type[LoadError], said: str
    ) -> None:
        (workplace / "file").write_bytes(content)
        with pytest.raises(error, match=said) as caught:
            create_tokenizer("./file")
        assert "file" in str(caught.value.source)

    def test_a_format_of_an_extra_says_which(self, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (workplace / "file").write_bytes(sentencepiece_model())
        monkeypatch.setitem(sys.modules, "sentencepiece", None)
        with pytest.raises(MissingDependencyError, match=r"tokenfacade\[sentencepiece\]") as caught:
            create_tokenizer("./file")
        assert caught.value.extra == "sentencepiece"

    @pytest.mark.parametrize(
        "content", [SENTENCEPIECE, b'{"config": {"default_vocab_size": 131072}}', b"GGUF\x03\0\0\0"]
    )
    def test_the_beginning_of_a_tokenizer_alone_is_none(self, workplace: Path, content: bytes) -> None:
        (workplace / "file").write_bytes(content)
        with pytest.raises(LoadError) as caught:
            create_tokenizer("./file")
        assert "file" in str(caught.value.source)


class TestEngine:
    @pytest.mark.parametrize("engine", ["auto", "reference"])
    def test_every_source_takes_the_choices_that_need_nothing(self, engine: EngineChoice) -> None:
        for source in ("mock:", str(ROOT / "examples" / "tokenizer")):
            tokenizer = create_tokenizer(source, engine=engine)
            assert tokenizer.engine in ("reference", "fast")
            assert tokenizer.engine.reason

    @pytest.mark.parametrize("engine", ["", "Fast", None, True, 1])
    def test_what_is_no_choice_is_a_configuration_error(self, engine: Any) -> None:
        with pytest.raises(ConfigurationError, match="engine="):
            create_tokenizer("mock:", engine=engine)

    def test_a_source_without_a_fast_engine_refuses_it(self) -> None:
        with pytest.raises(ConfigurationError, match="fast"):
            create_tokenizer("mock:", engine="fast")


class TestBadSources:
    @pytest.mark.parametrize("source", [None, "", b"", b"gpt-4o", 5, 1.5, True, [], object(), "file:", "file://"])
    def test_what_is_no_source_is_a_configuration_error(self, workplace: Path, source: Any) -> None:
        with pytest.raises(ConfigurationError):
            create_tokenizer(source)

    @pytest.mark.parametrize("source", ["a\0b", "org/na\0me", "x" * 10_000, "x/" * 5_000, "\ud800", " ", "a b", "\n"])
    @pytest.mark.parametrize("form", ["{}", "hf:{}", "tiktoken:{}", "file:{}", "./{}", "~{}"])
    def test_a_strange_name_is_not_found_and_never_sent(
        self, workplace: Path, connections: Callable[[], list[object]], source: str, form: str
    ) -> None:
        attempts = connections()
        with pytest.raises(TokenizerNotFoundError):
            create_tokenizer(form.format(source))
        assert attempts == []

    @pytest.mark.parametrize("source", ["mock:", "gpt-4o", "tiktoken:gpt2", "file:.", "."])
    def test_a_revision_is_for_the_hub_only(self, workplace: Path, source: str) -> None:
        with pytest.raises(ConfigurationError, match="is for the Hub"):
            create_tokenizer(source, revision="main")

    @pytest.mark.parametrize("source", ["mock:words", "hf:org/name@", "org/name@"])
    def test_a_source_that_says_too_much_or_too_little_is_refused(self, workplace: Path, source: str) -> None:
        with pytest.raises((ConfigurationError, UnsupportedFormatError)):
            create_tokenizer(source)

    def test_a_revision_that_is_no_string_is_refused(self, workplace: Path) -> None:
        number: Any = 5
        with pytest.raises(ConfigurationError, match="a revision is"):
            create_tokenizer("org/name", revision=number)

    @pytest.mark.parametrize("name", ["a\0b", "x" * 10_000, "~nobody/x"])
    def test_a_strange_path_is_not_found(self, workplace: Path, name: str) -> None:
        with pytest.raises(TokenizerNotFoundError):
            create_tokenizer(Path(name))

"""The names that users import, and what is promised of each."""

from __future__ import annotations

import builtins
import inspect
import pickle
import re

import pytest

import tokenfacade
from tests.data import ROOT
from tokenfacade import errors
from tokenfacade.lazy import cached_property

NAMES = {
    "create_tokenizer",
    "create_tokenizer_async",
    "Encoder",
    "Decoder",
    "ChatEncoder",
    "Tokenizer",
    "ChatRenderer",
    "ChatTemplate",
    "RenderedChat",
    "TemplateLimits",
    "TemplateTraits",
    "ThinkingToggle",
    "Encoding",
    "SpecialTokens",
    "HuggingFaceTokenizer",
    "TiktokenTokenizer",
    "SentencePieceTokenizer",
    "TekkenTokenizer",
    "GGUFTokenizer",
    "MockTokenizer",
    "Engine",
    "CachedTokenizer",
    "CacheConfig",
    "CacheStatistics",
    "LevelStatistics",
    "DecodeStream",
    "Sequence",
    "StopSequenceDecoder",
    "StopSequenceDecoderBuilder",
    "StopSequenceConfig",
    "SequenceDecoderOutput",
    "Text",
    "Held",
    "Stopped",
    "StoppedWithText",
    "TokenFacadeError",
    "ConfigurationError",
    "MissingDependencyError",
    "LoadError",
    "TokenizerNotFoundError",
    "UnsupportedFormatError",
    "CorruptTokenizerError",
    "HubError",
    "EncodeError",
    "DecodeError",
    "ChatTemplateError",
    "NoChatTemplateError",
    "TemplateSyntaxError",
    "TemplateRenderError",
    "TemplateLimitError",
}
ERRORS = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_can_be_imported_and_is_documented(name: str) -> None:
    value = getattr(tokenfacade, name)
    if name != "SequenceDecoderOutput":
        assert inspect.getdoc(value)


def test_there_are_no_other_names() -> None:
    assert set(tokenfacade.__all__) == NAMES
    assert set(dir(tokenfacade)) >= NAMES
    public = {name for name in vars(tokenfacade) if not name.startswith("_")}
    modules = {name for name in public if inspect.ismodule(getattr(tokenfacade, name))}
    assert public - modules - {"TYPE_CHECKING"} <= NAMES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Tokeniser'"):
        getattr(tokenfacade, "Tokeniser")  # noqa: B009


@pytest.mark.parametrize(
    "name",
    [
        "Encoder",
        "Decoder",
        "ChatEncoder",
        "Tokenizer",
        "ChatTemplate",
        "DecodeStream",
        "Sequence",
        "StopSequenceDecoder",
    ],
)
def test_every_public_member_is_documented(name: str) -> None:
    for member, value in vars(getattr(tokenfacade, name)).items():
        if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property | cached_property)):
            assert value.__doc__, member


@pytest.mark.parametrize("name", ["HuggingFaceTokenizer", "TiktokenTokenizer", "MockTokenizer"])
def test_options_are_keyword_only(name: str) -> None:
    for member, value in inspect.getmembers(getattr(tokenfacade, name), inspect.isfunction):
        if not member.startswith("_"):
            for parameter in inspect.signature(value).parameters.values():
                has_default = parameter.default is not parameter.empty
                is_main_input = parameter.name in ("prompt_ids", "stop")
                assert not has_default or parameter.kind is parameter.KEYWORD_ONLY or is_main_input


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error.__name__))
def test_errors_survive_pickling_with_their_fields(error: type[Exception]) -> None:
    fields = {
        name: "offline" if name == "kind" else "value"
        for name, parameter in (inspect.signature(error.__init__).parameters.items())
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    again = pickle.loads(pickle.dumps(error("what happened", **fields)))
    assert type(again) is error
    assert str(again) == "what happened"
    assert all(getattr(again, name) == value for name, value in fields.items())


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"[├└]─ (\w+)(?: \((\w+)\))?", errors.__doc__ or "")
    assert {name for name, _ in drawn} == {error.__name__ for error in ERRORS} - {"TokenFacadeError"}
    for name, builtin in drawn:
        error = getattr(errors, name)
        assert issubclass(error, errors.TokenFacadeError)
        assert not builtin or issubclass(error, getattr(builtins, builtin))


def test_version_and_changelog_agree() -> None:
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == tokenfacade.__version__


def test_the_package_is_typed() -> None:
    assert (ROOT / "tokenfacade" / "py.typed").is_file()

"""The files that hold chat templates, and what is in them: the text of each template by its name."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenfacade.errors import CorruptTokenizerError, NoChatTemplateError, TemplateSyntaxError

if TYPE_CHECKING:
    from tokenfacade.model_config import ModelConfig

DEFAULT = "default"
TOOL_USE = "tool_use"

LOOKED_FOR = (
    "chat_template.jinja, additional_chat_templates/*.jinja, chat_template in tokenizer_config.json, "
    "chat_template.json, *.jinja"
)

_OWN = "chat_template.jinja"
_OF_PROCESSOR = "chat_template.json"
_KEY = "chat_template"
_USUAL_STEMS = (DEFAULT, "chat")
_SYNTAX = ("{{", "{%", "{#")
_JSON = re.compile(r'\s*(\[\s*)?(\{\s*)?("|\Z)')
"""How JSON begins that could hold templates, and no template does."""


def has_template_syntax(text: str) -> bool:
    """Whether a text can be a template; one without any syntax is a name or a path.

    Example:
        >>> has_template_syntax("{{ messages }}"), has_template_syntax("rag")
        (True, False)
    """
    return any(mark in text for mark in _SYNTAX)


def templates_of_folder(folder: Path, config: ModelConfig) -> dict[str, str]:
    """The templates of a model folder by name, in the order of preference of this room.

    Raises:
        CorruptTokenizerError: A file should hold templates, and holds something else.
    """
    return _own_files(folder) or _of_config(folder, config) or _of_processor(folder) or _other_files(folder)


def templates_of_file(path: Path) -> dict[str, str]:
    """The template in a file of the caller's choice, or those of a JSON file that is written like a config.

    Raises:
        NoChatTemplateError: There is no such file, or no template in it.
        TemplateSyntaxError: It isn't text.
    """
    if not os.path.isfile(path):
        raise NoChatTemplateError(f"there is no file {str(path)!r} to take a chat template from", template=path.name)
    try:
        text = _read(path)
    except CorruptTokenizerError as error:
        raise TemplateSyntaxError(str(error), template=path.name) from error
    try:
        found = _of_json(text, path) if path.suffix == ".json" else {DEFAULT: text}
    except CorruptTokenizerError as error:
        raise NoChatTemplateError(str(error), template=path.name) from error
    if not found:
        raise NoChatTemplateError(f"{path} has no {_KEY}", template=path.name)
    return found


def _own_files(folder: Path) -> dict[str, str]:
    """What the folder says in files of Jinja; transformers takes them together."""
    own = {DEFAULT: _read(folder / _OWN)} if os.path.isfile(folder / _OWN) else {}
    return {**own, **_by_stem(folder / "additional_chat_templates")}


def _of_config(folder: Path, config: ModelConfig) -> dict[str, str]:
    return _by_name(config.tokenizer.get(_KEY), folder / "tokenizer_config.json")


def _of_processor(folder: Path) -> dict[str, str]:
    """What the processors of multimodal models were saved with."""
    file = folder / _OF_PROCESSOR
    return _of_json(_read(file), file) if os.path.isfile(file) else {}


def _other_files(folder: Path) -> dict[str, str]:
    found = _by_stem(folder)
    usual = next((stem for stem in (*_USUAL_STEMS, *found) if stem in found), DEFAULT)
    if usual in _USUAL_STEMS or len(found) == 1:
        return {DEFAULT: found.pop(usual), **found} if found else {}
    return found


def _by_stem(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.glob("*.jinja") if os.path.isfile(file))
    return {file.name.removesuffix(".jinja"): _read(file) for file in files}


def _of_json(text: str, file: Path) -> dict[str, str]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if not _JSON.match(text):
            return {DEFAULT: text}
        raise CorruptTokenizerError(
            f"{file} is not valid JSON ({error}); it may be cut off: fetch it again", source=str(file)
        ) from error
    return _by_name(content.get(_KEY) if isinstance(content, dict) else content, file)


def _by_name(value: Any, file: Path) -> dict[str, str]:
    """The templates of a config's value: one text, texts by name, or a list of objects with name and text."""
    if value is None:
        return {}
    named: Any = value
    if isinstance(value, str):
        named = {DEFAULT: value}
    elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
        pairs = [(item.get("name"), item.get("template")) for item in value]
        named = dict(pairs) if all(isinstance(name, str) for name, _ in pairs) else None
    if isinstance(named, dict) and all(isinstance(text, str) for text in named.values()):
        return named
    raise CorruptTokenizerError(
        f"{file} should have a {_KEY} that is a string, or a list of objects with name and template, not {value!r:.80}",
        source=str(file),
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CorruptTokenizerError(
            f"{file} should hold a chat template, and can't be read as UTF-8: {error}", source=str(file)
        ) from error

"""Which names a caller may give to a template as variables: any that doesn't mean something to the calls themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tokenfacade.errors import ConfigurationError

_OWN = frozenset(
    {
        "messages",
        "tools",
        "documents",
        "add_generation_prompt",
        "continue_final_message",
        "chat_template",
        "chat_template_kwargs",
        "content",
        "content_policy",
        "return_assistant_mask",
        "add_special_tokens",
        "parse_special_tokens",
        "limits",
        "clock",
    }
)
"""Parameters of `apply_chat_template` and `encode_chat`, and of calls and classes that are easily taken for them."""

_GLOBALS = frozenset({"cycler", "dict", "joiner", "lipsum", "namespace", "raise_exception", "range", "strftime_now"})
SPECIAL_TOKENS = frozenset(f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
_NOT_FROM_REQUESTS = _GLOBALS | SPECIAL_TOKENS
"""What a program may put in place of what a template has, and a request mayn't."""

MOST_VARIABLES = 256
"""Variables for one prompt; real templates read up to twenty."""

_LONGEST_OPTION = 30
_CLOSE = 0.9
"""How alike a name is to that of an option to be taken for a slip of the pen: one letter in ten."""

_OTHERS = frozenset(
    {
        "conversation",
        "conversations",
        "tokenize",
        "padding",
        "truncation",
        "max_length",
        "return_tensors",
        "return_dict",
        "return_assistant_tokens_mask",
        "sanitize_control_tokens",
        "tokenizer_kwargs",
        "self",
    }
)
"""Parameters of the same methods in transformers, which never reach a template there, and the one of every method."""

RESERVED = _OWN | _OTHERS


def check_template_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse variables for a template that have the name of an option.

    They come from requests: whoever sends one must not choose the template, or replace the messages that were checked.

    Raises:
        ConfigurationError: A name is reserved, or not a `str`.

    Example:
        >>> check_template_arguments({"enable_thinking": False})
        >>> check_template_arguments({"chat_template": "{{ messages }}"})
        Traceback (most recent call last):
        tokenfacade.errors.ConfigurationError: a template takes no variable 'chat_template': the name is an option
    """
    complaint = _complaint(tuple(arguments))
    if complaint is not None:
        raise ConfigurationError(complaint)


@lru_cache(maxsize=1024)
def _complaint(names: tuple[object, ...]) -> str | None:
    """What is wrong with some names, if anything; the same few come with every request."""
    if len(names) > MOST_VARIABLES:
        return f"a template takes no more than {MOST_VARIABLES} variables, not {len(names)}"
    for name in names:
        if not isinstance(name, str):
            return f"the names of a template's variables are strings, not {name!r:.80}"
        if name in _OWN:
            return f"a template takes no variable {name!r}: the name is an option"
        if name in _OTHERS:
            return f"a template takes no variable {name!r}: the name is an option of transformers that isn't here"
        if meant := _meant(name):
            return f"a template takes no variable {name!r}: is it meant to be {meant}?"
    return None


def _meant(name: str) -> str | None:
    """The option that a name is a misspelling of; a policy that is misspelled mustn't be ignored."""
    if len(name) > _LONGEST_OPTION:
        return None
    from difflib import get_close_matches

    long_names = [option for option in _OWN if "_" in option and option != name]
    return next(iter(get_close_matches(name, long_names, n=1, cutoff=_CLOSE)), None)


def merge_template_arguments(from_request: Mapping[str, Any] | None, own: Mapping[str, Any]) -> dict[str, Any]:
    """The variables for a template: what a request brings, and what the program says, which wins.

    Raises:
        ConfigurationError: A name is reserved or not a `str`, or the request's are no mapping.

    Example:
        >>> merge_template_arguments({"enable_thinking": True, "style": "brief"}, {"enable_thinking": False})
        {'enable_thinking': False, 'style': 'brief'}
    """
    if from_request is None:
        check_template_arguments(own)
        return dict(own)
    if not isinstance(from_request, Mapping):
        raise ConfigurationError(f"chat_template_kwargs takes a mapping of names, not {type(from_request).__name__}")
    if not _NOT_FROM_REQUESTS.isdisjoint(from_request):
        name = sorted(_NOT_FROM_REQUESTS.intersection(from_request))[0]
        raise ConfigurationError(f"a request can't set {name!r}: it belongs to the template")
    merged = {**from_request, **own}
    check_template_arguments(merged)
    return merged

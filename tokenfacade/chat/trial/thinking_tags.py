"""Thinking tags in the text of prompts: is one open at the end, and what does a text say about thinking?"""

from __future__ import annotations

import re
from collections import Counter

_WORD = r"(?:\w{1,16}:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?)"
_TAG = re.compile(
    rf"""
    [<\[◁] [|｜]? (?P<end> / | end_of_ | end_ )? (?:begin_of_ | begin_ | start_)? {_WORD} [|｜]? [>\]▷]
    | < [|｜] channel [|｜]? > \s* (?:analysis | thought)
    | (?P<channel_end> <channel\|> )
    | < [|｜] inner_ (?: prefix | (?P<inner_end> suffix) ) [|｜] >
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ENDS = ("end", "channel_end", "inner_end")
_AFTER_OPENING = re.compile(r"<[|｜](?!message[|｜])[^<>\s]{1,40}[|｜]>")
"""A control token after an opening tag: the turn is over, or another has begun, so nothing is open."""
_SAYING = re.compile(
    r"[^\s<>]{0,20}(?:think|thought|reasoning)[^\s<>]{0,20}(?:[ :]+(?:on|off|true|false|enabled|disabled)\b)?",
    re.IGNORECASE,
)
_DENYING = re.compile(r"no_?think|think(?:ing)?[ :]+(?:off|false|disabled)", re.IGNORECASE)


def ends_open(text: str) -> bool:
    """Whether the text ends inside an open thinking tag."""
    last = max(_TAG.finditer(text), key=re.Match.start, default=None)
    if last is None or any(last.group(end) for end in _ENDS):
        return False
    return _AFTER_OPENING.search(text, last.end()) is None


def has_tag(text: str) -> bool:
    return _TAG.search(text) is not None


def tags_in(text: str) -> Counter[str]:
    """How often each thinking tag is in the text."""
    return Counter(match.group() for match in _TAG.finditer(text))


def sayings_in(text: str) -> Counter[str]:
    """How often each word about thinking is in the text: tags, and switches such as ``/no_think``."""
    return Counter(match.group() for match in _SAYING.finditer(text))


def thinking_score(text: str, ending: str) -> tuple[int, int, int]:
    """How much a prompt and its ending ask for thinking: to be compared with another prompt of the same template."""
    at_end = 2 if ends_open(ending) else 0 if has_tag(ending) else 1
    return at_end, -len(_DENYING.findall(text)), sayings_in(text).total()

"""Mixed text for benchmarks: prose, code, JSON, and several scripts, made anew for each seed so that nothing has been
seen before."""

from __future__ import annotations

import random

PROSE = (
    "The router had been running for three weeks when somebody noticed that the third worker answered more slowly "
    "than the others. "
    "Nothing in its logs looked unusual. It took the same requests, held the same model and wrote the same words, but "
    "every answer began "
    "a little later, as if it first had to remember who was asking."
)
CODE = """
def merge(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    result = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result
"""
JSON = (
    '{"id": %d, "name": "worker-%d", "healthy": true, "load": [0.%d, 0.%d], "tags": ["gpu", "eu-%d"], "note": null}\n'
)
CJK = "路由器把请求分给最空闲的工人，然后把词元变回文字。日本語の文章も、한국어 문장도 한 글자씩 나타납니다。"
ARABIC = "يرسل الموجه كل طلب إلى العامل الأقل انشغالا ثم يعيد الكلمات إلى القارئ حرفا حرفا دون أن يكسرها."
EMOJI = "Shipped 🚀🎉 — thanks 👩‍👩‍👧‍👦 🇯🇵 👍🏽! ✨ Привет, мир; γειά σου κόσμε; שלום עולם; नमस्ते दुनिया."


def mixed_text(characters: int, seed: int = 0) -> str:
    """About so many characters of all kinds, in an order and with words that depend on the seed."""
    chance = random.Random(seed)
    parts: list[str] = []
    length = 0
    while length < characters:
        part = chance.choice([_prose, _prose, _code, _json, _cjk, _arabic, _emoji])(chance)
        parts.append(part)
        length += len(part)
    return "\n".join(parts)[:characters]


def _shuffled(text: str, chance: random.Random) -> str:
    words = text.split(" ")
    chance.shuffle(words)
    return " ".join(words)


def _prose(chance: random.Random) -> str:
    return _shuffled(PROSE, chance)


def _code(chance: random.Random) -> str:
    return CODE.replace("result", chance.choice(["merged", "out", "spans"])).replace("1", str(chance.randrange(9)))


def _json(chance: random.Random) -> str:
    return "".join(JSON % tuple(chance.randrange(10**digits) for digits in (6, 3, 4, 4, 2)) for _ in range(3))


def _cjk(chance: random.Random) -> str:
    characters = list(CJK)
    begin = chance.randrange(len(characters) // 2)
    return "".join(characters[begin:] + characters[:begin])


def _arabic(chance: random.Random) -> str:
    return _shuffled(ARABIC, chance)


def _emoji(chance: random.Random) -> str:
    return _shuffled(EMOJI, chance)

"""Nothing that a message says becomes a control token, and a chat in which nothing would has unchanged ids."""

from __future__ import annotations

import datetime
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data import DATA, HAS_DATA
from tests.real import REAL_NAMES, real_tokenizer
from tests.small import SMALL, small_tokenizer
from tokenfacade import ChatTemplate, MockTokenizer, TemplateRenderError
from tokenfacade.chat.encode import encode_as_text, overlaps
from tokenfacade.chat.renderers.deepseek_v32 import DeepSeekV32Renderer
from tokenfacade.chat.renderers.harmony import HarmonyRenderer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenfacade import Encoding, Tokenizer

NAMES = [name for name in (*SMALL, *REAL_NAMES) if name != "windowed_mock"]

# Templates that say the same of every message, whatever is in it: [OPEN]role, content, [CLOSE].
TEMPLATES = {
    "plain": "{% for m in messages %}[OPEN]{{ m.role }}\n{{ m.content }}[CLOSE]\n{% endfor %}",
    "sums": "{% for m in messages %}{{ '[OPEN]' + m.role + ' ' + m.content + '[CLOSE]' }}{% endfor %}",
    "trims": "{% for m in messages %}[OPEN]{{ m.content | trim }}[CLOSE]{{ m.content.strip('<>') }}{% endfor %}",
    "thoughts": "{% for m in messages %}[OPEN]{{ m.content.split('</think>')[-1].strip() }}[CLOSE]{% endfor %}",
    "removes": "{% for m in messages %}[OPEN]{{ m.content.replace('</think>', '') }}[CLOSE]{% endfor %}",
    "joins": "{% for m in messages %}[OPEN]{{ m.parts | join }}{{ ''.join(m.parts) }}[CLOSE]{% endfor %}",
    "joins messages": "[OPEN]{{ messages | map(attribute='content') | join }}[CLOSE]",
    "characters": "{% for m in messages %}[OPEN]{% for c in m.content %}{{ c }}{% endfor %}[CLOSE]{% endfor %}",
    "backwards": "{% for m in messages %}[OPEN]{{ m.content | reverse }}{{ m.content[::-1] }}[CLOSE]{% endfor %}",
    "cases": "{% for m in messages %}[OPEN]{{ m.content | lower }}{{ m.content.upper() }}[CLOSE]{% endfor %}",
    "macro": "{% macro turn(m) %}[OPEN]{{ caller(m) }}[CLOSE]{% endmacro %}"
    "{% for m in messages %}{% call(x) turn(m) %}{{ x.content }}{% endcall %}{% endfor %}",
    "json": "{% for m in messages %}[OPEN]{{ m | tojson }}{{ m.parts | tojson(ensure_ascii=true) }}[CLOSE]{% endfor %}",
    "formats": "{% for m in messages %}[OPEN]{{ '%s' % m.content }}{{ '{}'.format(m.content) }}[CLOSE]{% endfor %}",
    "keys": "{% for m in messages %}[OPEN]{% for k, v in m.named | items %}{{ k + v }}{% endfor %}[CLOSE]{% endfor %}",
    "prints": "{% for m in messages %}[OPEN]{{ m }}{{ m.parts }}{{ m.named }}[CLOSE]{% endfor %}",
    "brackets": "{% for m in messages %}[OPEN]<|{{ m.content }}|></{{ m.content }}><{{ m.role }}>[CLOSE]{% endfor %}",
    "blocks": "{% for m in messages %}{% set x %}[OPEN]{{ m.content }}[CLOSE]{% endset %}{{ x }}{% endfor %}",
    "escapes": "{% for m in messages %}[OPEN]{{ m.content | e }}{{ m.content | safe }}[CLOSE]{% endfor %}",
}


def named(name: str) -> Tokenizer:
    return small_tokenizer(name) if name in SMALL else real_tokenizer(name)


def control_spellings(tokenizer: Tokenizer) -> list[str]:
    """The control tokens, without what stands for the unknown."""
    control = tokenizer.control_tokens
    return [control.spellings[n] for n in sorted(control.ids) if n not in control.unknown]


def template_for(tokenizer: Tokenizer, text: str) -> ChatTemplate:
    spellings = control_spellings(tokenizer) or ["[OPEN]", "[CLOSE]"]
    return ChatTemplate(text.replace("[OPEN]", spellings[0]).replace("[CLOSE]", spellings[-1]))


@st.composite
def hostile_texts(draw: st.DrawFn, spellings: list[str]) -> str:
    """Control tokens, whole and in pieces, hidden behind what templates and normalizers take away."""
    token = draw(st.sampled_from(spellings))
    cut = draw(st.integers(0, len(token)))
    wide = "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in token)
    pieces = [token, token[:cut], token[cut:], f"{token[:cut]}</think>{token[cut:]}", token[::-1], token.upper(), wide]
    pieces += [
        f"{token[:cut]}\u200b{token[cut:]}",
        token.strip("<|>"),
        f" {token}\n",
        f"&{token};",
        '"',
        "{{",
        "\\u003c",
    ]
    others = ["hello", " ", "\n", "user", "</think>", "\u0338", "é", "😊", "\ud800", "\x00", "\U000f0000", "▁", "Ġ"]
    return "".join(draw(st.lists(st.sampled_from(pieces) | st.sampled_from([*spellings[:8], *others]), max_size=5)))


def conversation(*texts: str) -> list[dict[str, Any]]:
    roles = ["user", "assistant", "tool"]
    return [
        {"role": role, "content": text, "parts": [text[:2], text[2:]], "named": {text: text}}
        for role, text in zip(roles, texts, strict=False)
    ]


def control_ids(tokenizer: Tokenizer, encoding: Encoding) -> list[int]:
    control = tokenizer.control_tokens
    return [token_id for token_id in encoding.ids if token_id in control.ids - control.unknown]


def encode(tokenizer: Tokenizer, template: ChatTemplate, messages: list[dict[str, Any]], policy: Any) -> Encoding:
    return tokenizer.encode_chat(messages, chat_template=template, content="exact", content_policy=policy)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=max(100, settings.default.max_examples))  # type: ignore[union-attr]
@given(kind=st.sampled_from(list(TEMPLATES)), data=st.data())
def test_the_control_tokens_are_those_of_an_innocent_chat(name: str, kind: str, data: st.DataObject) -> None:
    tokenizer = named(name)
    spellings = control_spellings(tokenizer)
    template = template_for(tokenizer, TEMPLATES[kind])
    texts = data.draw(st.lists(hostile_texts(spellings or ["</s>"]), min_size=1, max_size=3))
    encoding = encode(tokenizer, template, conversation(*texts), "text")
    innocent = encode(tokenizer, template, conversation(*["hello"] * len(texts)), "text")
    assert control_ids(tokenizer, encoding) == control_ids(tokenizer, innocent)
    assert len(encoding.offsets) == len(encoding)


innocent_texts = st.lists(
    st.sampled_from(
        [
            "hello",
            " world",
            "  ",
            "\n",
            "\n\n",
            "é",
            "😊",
            "世界",
            "1 < 2 > 0",
            "a|b",
            "def f(x): return [x]",
            "<b>",
            "'s",
        ]
    ),
    max_size=6,
).map("".join)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_ordinary_chats_have_the_ids_of_the_prompt_as_it_stands(name: str, data: st.DataObject) -> None:
    tokenizer = named(name)
    kind = data.draw(st.sampled_from(list(TEMPLATES)))
    template = template_for(tokenizer, TEMPLATES[kind])
    messages = conversation(*data.draw(st.lists(innocent_texts, min_size=1, max_size=3)))
    as_text = encode(tokenizer, template, messages, "text")
    assert as_text.ids == encode(tokenizer, template, messages, "special").ids
    assert as_text.text == template.render(messages)


BYTES = (
    "tiktoken_small",
    "mock",
    "minimind",
    "deepseek-v3",
    "falcon",
    "qwen-tiktoken",
    "cl100k_base",
)


@pytest.mark.parametrize("name", [name for name in BYTES if name in NAMES])
@given(data=st.data())
def test_the_ids_decode_to_the_prompt(name: str, data: st.DataObject) -> None:
    tokenizer = named(name)
    kind = data.draw(st.sampled_from(list(TEMPLATES)))
    template = template_for(tokenizer, TEMPLATES[kind])
    texts = hostile_texts(control_spellings(tokenizer) or ["</s>"])
    messages = conversation(*data.draw(st.lists(texts, min_size=1, max_size=3)))
    encoding = encode(tokenizer, template, messages, "text")
    assert tokenizer.decode(encoding, skip_special_tokens=False) == encoding.text
    covered = {at for start, end in encoding.offsets for at in range(start, end)}
    assert covered == set(range(len(encoding.text)))


MARK = "Жд"
"""Letters that no template has: wherever they come out, a message said them."""


def real_cases() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Conversations of the goldens, each with its template: those that go through most of the template."""
    for path in sorted((DATA / "goldens" / "chat").glob("*.json")):
        text = (DATA / "chat_templates" / f"{path.stem}.jinja").read_text(encoding="utf-8")
        cases = [case for case in json.loads(path.read_text()) if not case["error"]]
        cases.sort(key=lambda case: -len(json.dumps([case["messages"], case["tools"], case["documents"]])))
        for case in cases[:6]:
            yield path.stem, text.removesuffix("\n"), case


def with_added(value: Any, said: str) -> Any:
    """The value with something said after each string that no template would compare."""
    if isinstance(value, str):
        return value + said
    if isinstance(value, list):
        return [with_added(item, said) for item in value]
    if isinstance(value, dict):
        fixed = ("role", "type", "image_url", "title", "json")
        return {key: item if key in fixed else with_added(item, said) for key, item in value.items()}
    return value


@pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")
def test_real_templates_say_of_every_message_that_it_was_said_and_give_none_a_control_token() -> None:
    rendered = 0
    for _name, text, case in real_cases():
        spellings = sorted(set(re.findall(r"<[|｜][^|｜\n<>]*[|｜]>|\[/?[A-Z_]+\]|</?[a-z_]+>", text)))
        tokenizer = MockTokenizer(special_tokens=["</s>", *(token for token in spellings if token != "</s>")])
        template = ChatTemplate(text, clock=lambda: datetime.datetime(2026, 1, 2))
        said = MARK + "".join(spellings[-4:]) + MARK
        arguments: dict[str, Any] = {
            "tools": with_added(case["tools"], said),
            "documents": with_added(case["documents"], said),
            "add_generation_prompt": case["add_generation_prompt"],
            **case["kwargs"],
        }
        try:
            traced = template.render_traced(with_added(case["messages"], said), **arguments)
        except TemplateRenderError:
            continue
        spans = list(traced.message_spans)
        rest = {character for at, character in enumerate(traced.text) if not overlaps(spans, (at, at + 1))}
        assert not rest & set(MARK)
        encoding = encode_as_text(tokenizer, traced)
        for token_id, span in zip(encoding.ids, encoding.offsets, strict=True):
            assert token_id not in tokenizer.control_tokens.ids or not overlaps(spans, span)
        assert tokenizer.decode(encoding, skip_special_tokens=False) == traced.text == encoding.text
        rendered += 1
    assert rendered > 350


@pytest.mark.parametrize("renderer", [DeepSeekV32Renderer(), HarmonyRenderer(lambda: datetime.datetime(2026, 1, 2))])
def test_renderers_in_code_say_of_every_message_that_it_was_said(renderer: Any) -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
    spellings = ["<|end|>", "<|start|>", "<|message|>", "<｜User｜>", "<｜end▁of▁sentence｜>", "<think>", "｜DSML｜"]
    said = MARK + "".join(spellings) + MARK
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "a", "reasoning_content": "r"},
        {"role": "tool", "content": "t"},
        {"role": "user", "content": "u"},
    ]
    chats = []
    for added in ("", said):
        call = {"name": "f" + added, "arguments": json.dumps({"a" + added: added})}
        chat = with_added(messages, added)
        chat[2]["tool_calls"] = [{"type": "function", "function": call}]
        chats.append(renderer.render_traced(chat, tools=[with_added(tool, added)]))
    innocent, traced = chats
    rest = {at for at, character in enumerate(traced.text) if character in MARK}
    assert len(rest) > 20
    assert all(overlaps(traced.message_spans, (at, at + 1)) for at in rest)
    tokenizer = MockTokenizer(special_tokens=spellings)
    assert control_ids(tokenizer, encode_as_text(tokenizer, traced)) == control_ids(
        tokenizer, encode_as_text(tokenizer, innocent)
    )

"""Messages to the ids of their prompt: as transformers encodes it, or so that no message can steer the model."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tokenfacade.chat.provenance import merge_spans
from tokenfacade.chat.renderer import RenderedChat
from tokenfacade.encoding import Encoding, mend_surrogates
from tokenfacade.errors import ConfigurationError, EncodeError

if TYPE_CHECKING:
    from tokenfacade.chat.renderer import ChatRenderer
    from tokenfacade.chat_protocol import ContentPolicy
    from tokenfacade.encoding import Span
    from tokenfacade.protocols import Tokenizer

Placed = tuple["Span", int]
"""A token, and where it stands in the prompt."""

_MOST_ROUNDS = 40
"""Each round halves what still becomes a control token; none is longer than 2 to the power of this."""


def encode_chat(
    tokenizer: Tokenizer,
    renderer: ChatRenderer,
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Any] | None = None,
    documents: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = False,
    continue_final_message: bool | str = False,
    content_policy: ContentPolicy = "special",
    return_assistant_mask: bool = False,
    template_arguments: Mapping[str, Any] | None = None,
) -> Encoding:
    """The ids of the prompt that a renderer makes of messages; see `Tokenizer.encode_chat`.

    Raises:
        ConfigurationError: `content_policy` is neither, or a mask is wanted of a prompt that ends within a message.
        EncodeError: With ``content_policy="text"``, the vocabulary has no way to write what a message says but as a
            control token.
        ChatTemplateError: As for `ChatTemplate.render`.
    """
    if content_policy not in ("special", "text"):
        raise ConfigurationError(f'content_policy takes "special" or "text", not {content_policy!r}')
    if return_assistant_mask and continue_final_message:
        raise ConfigurationError("return_assistant_mask doesn't go with continue_final_message: nothing ends there")
    options = {
        "tools": tools,
        "documents": documents,
        "add_generation_prompt": add_generation_prompt,
        "continue_final_message": continue_final_message,
        **(template_arguments or {}),
    }
    if content_policy == "special" and not return_assistant_mask:
        return tokenizer.encode(renderer.render(messages, **options))
    rendered = _mended(renderer.render_traced(messages, **options))
    encoding = tokenizer.encode(rendered.text) if content_policy == "special" else encode_as_text(tokenizer, rendered)
    if return_assistant_mask:
        if not renderer.traits.has_generation_blocks:
            _say_once_that_the_mask_is_empty(renderer.identity)
        encoding.assistant_mask = assistant_mask(encoding.offsets, rendered.assistant_spans)
    return encoding


def encode_as_text(tokenizer: Tokenizer, rendered: RenderedChat) -> Encoding:
    """The ids of a prompt in which only the template's words can be control tokens.

    Nearly always nothing in the messages would become one, and this is the encoding of the prompt as it stands.
    Otherwise the tokens that the template spells are kept, and all text between them is encoded as if the vocabulary
    had no added tokens.

    Raises:
        EncodeError: The vocabulary has no way to write what a message says but as a control token.
    """
    control = tokenizer.control_tokens
    prompt = rendered.text
    encoding = tokenizer.encode_placed(prompt)
    if not rendered.message_spans:
        return encoding
    spelled = _spelled_without_messages(tokenizer, rendered)
    written = [placed for placed in spelled if not overlaps(rendered.message_spans, control.core(prompt, placed))]
    forbidden = control.ids | control.tags.intersection(token_id for _, token_id in written)
    kept = [placed for placed in written if placed[1] in forbidden]
    if control.found(encoding, forbidden) == kept:
        return encoding
    others = control.found(encoding, frozenset(control.spellings) - forbidden)
    return _encode_between(tokenizer, prompt, _without_overlaps(kept, others), forbidden)


def _spelled_without_messages(tokenizer: Tokenizer, rendered: RenderedChat) -> list[Placed]:
    """The added tokens of the prompt, were its messages other words.

    Of what a message says only white space counts, and whether a word begins or ends it: some tokens look at what is
    beside them.
    """
    control = tokenizer.control_tokens
    letter = control.absent_character("xqzjkvwyXQZJKVWY0123456789")
    mark = control.absent_character(".,;:!?'~%&")

    def masked(character: str) -> str:
        return letter if character.isalnum() or character == "_" else mark

    text = rendered.text
    pieces: list[str] = []
    places: list[int] = []
    at = 0
    for start, end in rendered.message_spans:
        said = text[start:end].strip()
        first = end if not said else start + len(text[start:end]) - len(text[start:end].lstrip())
        pieces.append(text[at:first])
        places += range(at, first)
        if said:
            last = first + len(said) - 1
            pieces.append(masked(said[0]) + masked(said[-1]))
            places += (first, last)
            first = last + 1
        at = first
    pieces.append(text[at:])
    places += range(at, len(text) + 1)
    found = control.found(tokenizer.encode_placed("".join(pieces)), frozenset(control.spellings))
    return [((places[start], places[end - 1] + 1), token_id) for (start, end), token_id in found if start < end]


def _without_overlaps(kept: list[Placed], others: list[Placed]) -> list[Placed]:
    """All tokens in order, without those of the others that share characters with one that is kept."""
    taken = [span for span, _ in kept]
    return sorted([*kept, *(placed for placed in others if not overlaps(taken, placed[0]))])


def overlaps(spans: Sequence[Span], span: Span) -> bool:
    """Whether a span shares characters with one of others, which are in order.

    Example:
        >>> overlaps([(0, 2), (5, 7)], (2, 5)), overlaps([(0, 2), (5, 7)], (2, 6))
        (False, True)
    """
    before = bisect_left(spans, (span[1],))
    return before > 0 and spans[before - 1][1] > span[0] and span[0] < span[1]


def _encode_between(tokenizer: Tokenizer, prompt: str, kept: list[Placed], forbidden: frozenset[int]) -> Encoding:
    """Encode the prompt with these tokens where they stand, and all between them without control tokens."""
    written = set(kept)
    cuts: set[int] = set()
    lost: set[int] = set()
    for _ in range(_MOST_ROUNDS):
        encoding = tokenizer.encode_parts(_parts(prompt, kept, sorted(cuts), lost))
        offenders = [placed for placed in tokenizer.control_tokens.found(encoding, forbidden) if placed not in written]
        if not offenders:
            return Encoding(
                encoding.ids,
                prompt,
                tokenizer,
                add_special_tokens=False,
                parse_special_tokens=False,
                offsets=encoding.offsets,
            )
        for placed in offenders:
            start, end = tokenizer.control_tokens.core(prompt, placed)
            if end - start > 1:
                cuts.add((start + end) // 2)
            elif start in lost or end == start:
                token = tokenizer.id_to_token(placed[1])
                raise EncodeError(f"the vocabulary can write {prompt[start:end]!r} only as the token {token!r}")
            else:
                lost.add(start)
    raise EncodeError("the vocabulary can write what these messages say only as control tokens")


def _parts(prompt: str, kept: list[Placed], cuts: list[int], lost: set[int]) -> list[tuple[str, int | None]]:
    """The prompt as tokens and texts; characters that only a control token could write are U+FFFD."""
    text = prompt
    if lost:
        text = "".join("\ufffd" if at in lost else character for at, character in enumerate(prompt))
    parts: list[tuple[str, int | None]] = []
    at = 0
    for (start, end), token_id in [*kept, ((len(text), len(text)), -1)]:
        borders = [at, *(cut for cut in cuts if at < cut < start), start]
        parts += [(text[one:two], None) for one, two in pairwise(borders) if one < two]
        if token_id >= 0:
            parts.append((text[start:end], token_id))
        at = end
    return parts


def encode_each(tokenizer: Tokenizer, parts: Sequence[tuple[str, int | None]]) -> Encoding:
    """Texts encoded one by one, and tokens between them; see `Tokenizer.encode_parts`."""
    ids: list[int] = []
    offsets: list[Span] = []
    at = 0
    for text, token_id in parts:
        if token_id is None:
            encoding = tokenizer.encode(text, parse_special_tokens=False)
            ids += encoding.ids
            offsets += [(at + start, at + end) for start, end in encoding.offsets]
            at += len(encoding.text)
        else:
            ids.append(token_id)
            offsets.append((at, at + len(text)))
            at += len(text)
    whole = "".join(mend_surrogates(text) for text, _ in parts)
    return Encoding(ids, whole, tokenizer, add_special_tokens=False, parse_special_tokens=False, offsets=offsets)


def assistant_mask(offsets: Sequence[Span], spans: Sequence[Span]) -> list[int]:
    """1 for each token that overlaps one of the spans, else 0; as transformers 5.23 counts them.

    Its quirks are kept: a span whose last character belongs to no token, or to the first one, goes on to the end; and
    the first span to begin where no token is ends the counting.

    Example:
        >>> assistant_mask([(0, 2), (2, 5), (5, 6)], [(3, 6)])
        [0, 1, 1]
    """
    owner: dict[int, int] = {}
    for index, (start, end) in enumerate(offsets if spans else ()):
        for at in range(start, end):
            owner.setdefault(at, index)
    mask = [0] * len(offsets)
    for start, end in spans:
        if end == 0:
            continue
        first = owner.get(start)
        if first is None:
            break
        last = owner.get(end - 1)
        for index in range(first, last + 1 if last else len(mask)):
            mask[index] = 1
    return mask


@lru_cache(maxsize=256)
def _say_once_that_the_mask_is_empty(template: str) -> None:
    logging.getLogger(__name__).warning(
        "return_assistant_mask: the chat template has no {% generation %} blocks, so the mask is all zeros"
    )


def _mended(rendered: RenderedChat) -> RenderedChat:
    """The prompt as UTF-8 can hold it, with its spans where they belong; see `mend_surrogates`."""
    text = rendered.text
    if mend_surrogates(text) is text:
        return rendered
    places, mended = [0] * (len(text) + 1), []
    at = 0
    while at < len(text):
        is_pair = "\ud800" <= text[at] < "\udc00" <= text[at + 1 : at + 2] <= "\udfff"
        width = 2 if is_pair else 1
        mended.append(mend_surrogates(text[at : at + width]))
        # The half of a pair belongs to the character that it becomes.
        places[at + 1 : at + width + 1] = [len(mended)] * width
        at += width

    def moved(spans: Sequence[Span]) -> tuple[Span, ...]:
        return tuple((max(places[start] - (0 if _begins(text, start) else 1), 0), places[end]) for start, end in spans)

    return RenderedChat("".join(mended), moved(rendered.assistant_spans), merge_spans(moved(rendered.message_spans)))


def _begins(text: str, at: int) -> bool:
    """Whether a character begins here, and not the second half of a pair."""
    return not ("\ud800" <= text[at - 1 : at] < "\udc00" <= text[at : at + 1] <= "\udfff")

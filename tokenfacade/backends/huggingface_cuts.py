"""Before which added tokens a text may be cut that `tokenizers` encodes.

The library looks for added tokens in the text as it stands, leftmost first and of these the longest, except for those
that are flagged ``normalized``. Each piece between them goes alone through normalizer, search for normalized tokens,
pre-tokenizer and model; so a space that a pipeline puts before the first word it puts before each piece, or only
where the text begins, and nothing is cut there: what is cut off begins with a token. See
https://github.com/huggingface/tokenizers/blob/v0.23.1/tokenizers/src/tokenizer/added_vocabulary.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenfacade.backends.huggingface_twins import state
from tokenfacade.cut_points import safe_cut_points, undisturbed

if TYPE_CHECKING:
    import tokenizers


def cut_points(raw: tokenizers.Tokenizer) -> frozenset[str]:
    """The added tokens that are found wherever they stand, and don't look at what is before them."""
    if _is_random(raw.model) or not _only_adds_around(state(raw.post_processor)):
        return frozenset()
    added = raw.get_added_tokens_decoder().values()
    looks_at_neighbours = any(token.single_word for token in added)
    candidates = {
        token.content
        for token in added
        if not (token.lstrip or token.single_word)
        and _is_border(token.content, looks_at_neighbours=looks_at_neighbours)
    }
    first = {token.content for token in added if not token.normalized}
    cuts = safe_cut_points(first, first & candidates)
    if not _changes_nothing(state(raw.normalizer)):
        return cuts
    later = {token.content for token in added if token.normalized}
    return cuts | _found_later(first, later, later & candidates, cuts)


def _found_later(first: set[str], later: set[str], candidates: set[str], cuts: frozenset[str]) -> frozenset[str]:
    """Of the tokens that are searched for in the pieces between the first ones, those that are always found there."""
    in_the_way = first - cuts
    free = [
        token
        for token in undisturbed(candidates, first)
        # One with ``lstrip`` would take white space from its end.
        if not token[-1:].isspace() and not any(token.startswith(other) for other in in_the_way)
    ]
    return safe_cut_points(first | later, {*cuts, *free}) & set(free)


def _is_border(token: str, *, looks_at_neighbours: bool) -> bool:
    """Whether the token before this one sees the end of a text as it sees the first character of this one.

    One with ``rstrip`` takes white space along, and one with ``single_word`` mustn't touch a word.
    """
    first = token[:1]
    if looks_at_neighbours and not (first.isascii() and first.isprintable() and not (first.isalnum() or first == "_")):
        return False
    return not first.isspace()


def _changes_nothing(normalizer: Any) -> bool:
    return normalizer is None or (
        normalizer["type"] == "Sequence" and all(map(_changes_nothing, normalizer["normalizers"]))
    )


def _is_random(model: Any) -> bool:
    return any(getattr(model, option, None) for option in ("dropout", "alpha", "nbest_size"))


def _only_adds_around(part: Any) -> bool:
    """Whether a post-processor does no more than to put the same tokens around every text."""
    if part is None:
        return True
    kind = part["type"]
    if kind == "Sequence":
        return all(map(_only_adds_around, part["processors"]))
    if kind == "TemplateProcessing":
        sequences = [step["Sequence"]["id"] for step in part["single"] if "Sequence" in step]
        return sequences == ["A"]
    return kind in ("ByteLevel", "BertProcessing", "RobertaProcessing")

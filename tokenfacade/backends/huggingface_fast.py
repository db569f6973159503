"""How a tokenizer of `tokenizers` becomes one of the accelerated engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tokenizers

from tokenfacade.backends import fast_gate
from tokenfacade.backends.fast_build import from_json
from tokenfacade.backends.huggingface_twins import literal_twin, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenfacade.backends.fast import FastTokenizer


class HuggingFacePlan:
    """The plan for one tokenizer, read from its loaded parts: the file that it came from may be older than they are.

    Args:
        raw: The tokenizer; its truncation and padding are off.
        added: Its added tokens, in the order in which they were added.
    """

    def __init__(self, raw: tokenizers.Tokenizer, added: Sequence[list[tokenizers.AddedToken]]) -> None:
        self._raw = raw
        self._added = added
        self._literal: tokenizers.Tokenizer | None = None

    def objection(self) -> str | None:
        raw = self._raw
        return fast_gate.objection(
            fast_gate.Pipeline(
                model=_model_state(raw.model),
                normalizer=state(raw.normalizer),
                pre_tokenizer=state(raw.pre_tokenizer),
                post_processor=state(raw.post_processor),
                added_tokens=[token.__getstate__() for token in raw.get_added_tokens_decoder().values()],
                id_of=raw.model.token_to_id,
                tokens=lambda: raw.get_vocab(with_added_tokens=False),
            )
        )

    def build(self) -> FastTokenizer:
        raw = self._raw
        post_processor = state(raw.post_processor)
        if post_processor is not None and post_processor["type"] == "RobertaProcessing":
            raw = tokenizers.Tokenizer.from_str(raw.to_str())
            raw.post_processor = _as_template(post_processor)
        return from_json(raw.to_str())

    def reference_ids(self, text: str, *, add_special_tokens: bool, parse_special_tokens: bool) -> list[int]:
        if self._literal is None:
            self._literal = literal_twin(self._raw, self._added)
        raw = self._raw if parse_special_tokens else self._literal
        ids: list[int] = raw.encode(text, add_special_tokens=add_special_tokens).ids
        return ids

    def added_tokens(self) -> list[str]:
        return [str(token) for token in self._raw.get_added_tokens_decoder().values()]


def _model_state(model: tokenizers.models.Model) -> dict[str, Any]:
    """The model without its vocabulary, which takes half a second to write down and read."""
    fields = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "unk_token")
    return {"type": type(model).__name__, **{field: getattr(model, field, None) for field in fields}}


def _as_template(roberta: dict[str, Any]) -> tokenizers.processors.TemplateProcessing:
    """The same post-processor in a form that the engine knows; they differ in offsets only."""
    (first, first_id), (last, last_id) = roberta["cls"], roberta["sep"]
    return tokenizers.processors.TemplateProcessing(
        single=[first, "$A", last], pair=[first, "$A", last, "$B"], special_tokens=[(first, first_id), (last, last_id)]
    )

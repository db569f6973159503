"""What each id of a SentencePiece model decodes to: the rules of the library's own decoder, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenfacade.backends.sentencepiece_model import SPACE
from tokenfacade.decoding.pieces import Pieces, contribution
from tokenfacade.decoding.transducer import checked_ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from tokenfacade.backends.sentencepiece_model import SentencePieceModel
    from tokenfacade.decoding.pieces import Piece


class DecodingTable:
    """The contribution of every id, with special tokens skipped or spelled.

    A control piece is no text, yet keeps the bytes on its two sides apart; what follows it is still the start of the
    text. There the space that begins a piece goes away, where the model puts or removes spaces; a model that removes
    extra ones also takes that of the next piece, as long as there is no text yet.

    Args:
        model: The model.
        added: The tokens that a config adds, by id; they win over pieces.
        special: The ids that are skipped where special tokens are.
        skip_special_tokens: Whether they are.
    """

    def __init__(
        self, model: SentencePieceModel, added: Mapping[int, str], special: Set[int], *, skip_special_tokens: bool
    ) -> None:
        skipped = special if skip_special_tokens else frozenset()
        pieces: list[Piece] = []
        for token_id, (text, kind) in enumerate(zip(model.texts, model.kinds, strict=True)):
            if token_id in skipped:
                pieces.append("")
            elif kind == "byte":
                pieces.append(bytes([int(text[3:5], 16)]))
            elif kind == "unknown":
                pieces.append(model.unknown_surface)
            else:
                pieces.append(added.get(token_id) or text.replace(SPACE, " "))
        self._pieces = pieces
        self._bytes = [contribution(piece) for piece in pieces]
        self._spelled = (special | added.keys()) - skipped
        self._others = {n: "" if n in skipped else text for n, text in added.items() if n >= len(pieces)}
        self._breaks = frozenset(skipped)
        flags = model.flags
        self._strips_all = flags.remove_extra_whitespaces
        self._stripped = {
            token_id
            for token_id, (text, kind) in enumerate(zip(model.texts, model.kinds, strict=True))
            if text.startswith(SPACE) and kind in ("normal", "user_defined", "unused") and token_id not in added
        }
        if not (flags.add_dummy_prefix or flags.remove_extra_whitespaces):
            self._stripped = set()
        self.pieces = Pieces(self.piece, first=self.first)

    def piece(self, token_id: int) -> Piece:
        """What an id contributes inside a text; raises `KeyError` for one that there isn't."""
        if 0 <= token_id < len(self._pieces):
            return self._pieces[token_id]
        return self._others[token_id]

    def first(self, token_id: int) -> Piece:
        """What it contributes at the start; None where the start of the text is still to come."""
        found = self.piece(token_id)
        if token_id in self._stripped and isinstance(found, str) and found:
            return found[1:] or (None if self._strips_all else "")
        return found or None

    def is_spelled(self, token_id: int) -> bool:
        """Whether an id is a special or added token that comes out as it is spelled."""
        return token_id in self._spelled

    def decode(self, token_ids: list[int]) -> str:
        """The text of some ids; those that there aren't contribute nothing."""
        try:
            if token_ids and min(token_ids) < 0:
                raise IndexError
            data = list(map(self._bytes.__getitem__, token_ids))
        except (IndexError, TypeError):
            return self._decode_any(checked_ids(token_ids))
        for at, token_id in enumerate(token_ids):
            begin = self.first(token_id)
            data[at] = contribution(begin)
            if begin is not None:
                break
        if self._breaks.isdisjoint(token_ids):
            return b"".join(data).decode("utf-8", "replace")
        return _join_runs(data, [at for at, token_id in enumerate(token_ids) if token_id in self._breaks])

    def _decode_any(self, token_ids: list[int]) -> str:
        data: list[bytes] = []
        breaks = []
        is_first = True
        for token_id in token_ids:
            try:
                piece = self.first(token_id) if is_first else self.piece(token_id)
            except KeyError:
                continue
            if piece is None:
                continue
            is_first = False
            if piece == "":
                breaks.append(len(data))
            data.append(contribution(piece))
        return _join_runs(data, breaks)


def _join_runs(data: list[bytes], breaks: list[int]) -> str:
    """The text of bytes that aren't joined across the breaks."""
    starts = [0, *breaks]
    ends = [*breaks, len(data)]
    return "".join(
        b"".join(data[start:end]).decode("utf-8", "replace") for start, end in zip(starts, ends, strict=True)
    )

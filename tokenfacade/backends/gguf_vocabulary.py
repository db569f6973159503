"""The vocabulary of a GGUF file, with what llama.cpp makes of it when it loads one.

It doesn't take the types of tokens and the ids of roles as they stand: tokens that look like the end of a turn become
control tokens, a few others lose that type. The rules are those of ``llama_vocab::impl::load``.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tokenfacade.backends.gguf_patterns import DEFAULT, PreTokenizer, pre_tokenizer_named
from tokenfacade.encoding import SpecialTokens
from tokenfacade.errors import CorruptTokenizerError, UnsupportedFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tokenfacade.backends.gguf_reader import Metadata

Model = Literal["gpt2", "llama", "bert", "t5"]
"""The algorithm: byte-pair encoding by merges, by scores, WordPiece, Unigram."""

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""The types of tokens, as a file numbers them; any other number is no type."""

_KEY = "tokenizer.ggml."
_MODELS: Mapping[str, Model] = {"gpt2": "gpt2", "gemma4": "gpt2", "llama": "llama", "bert": "bert", "t5": "t5"}
_ROLE_DEFAULTS: Mapping[Model, Mapping[str, int]] = {
    "gpt2": {"bos": 11, "eos": 11},
    "llama": {"bos": 1, "eos": 2, "unk": 0},
    "bert": {"bos": 101, "unk": 100, "sep": 102, "pad": 0, "mask": 103},
    "t5": {"eos": 1, "unk": 2, "pad": 0},
}
# The last of the keys of a role that a file has counts.
_ROLE_KEYS = {
    "bos": ("bos",),
    "eos": ("eos",),
    "eot": ("eot",),
    "eom": ("eom",),
    "unk": ("unknown",),
    "sep": ("seperator",),
    "pad": ("padding",),
    "cls": ("cls",),
    "mask": ("mask",),
    "fim_pre": ("fim_pre", "prefix"),
    "fim_suf": ("fim_suf", "suffix"),
    "fim_mid": ("fim_mid", "middle"),
    "fim_pad": ("fim_pad",),
    "fim_rep": ("fim_rep",),
    "fim_sep": ("fim_sep",),
}
_ROLE_SPELLINGS = {
    "eot": (
        *("<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>"),
        *("_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>"),
    ),
    "eom": ("<|eom_id|>",),
    "fim_pre": (
        *("<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>"),
        "<|prefix|>",
    ),
    "fim_suf": (
        *("<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>"),
        "<|suffix|>",
    ),
    "fim_mid": (
        *("<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>"),
        "<|middle|>",
    ),
    "fim_pad": ("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
    "fim_rep": ("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"),
    "fim_sep": ("<|file_sep|>",),
}
_ENDS = (
    *("<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>"),
    *("<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>"),
    *("<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~["),
)
_HARMONY = ("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>")


@dataclass(frozen=True, slots=True)
class StripRules:
    """Tokens that take the white space beside them; a file doesn't say so, llama.cpp goes by the model's name."""

    left: frozenset[int] = frozenset()
    right: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """What the metadata say about a tokenizer.

    Attributes:
        model: The algorithm.
        pre_tokenizer: How text is divided into words, for ``gpt2``.
        tokens: The spelling of each id.
        ids: The id of each spelling.
        types: The type of each id, as the file has it.
        control: Ids that are control tokens or unknown, and skipped when decoding.
        user_defined: Ids that are found in any text.
        plain: Ids whose type was changed to that of ordinary text.
        scores: The score of each id; empty where there are none.
        merges: The merges, best first.
        roles: The id of each role.
        ends: Ids that end a generation.
        strips: Tokens that take white space.
        add_bos: Whether BOS comes before a text.
        add_eos: Whether EOS comes after a text.
        add_space_prefix: Whether a text begins with a space.
        remove_extra_whitespaces: Whether runs of spaces become one.
        lowercase: Whether WordPiece takes text in lower case.
        strip_accents: Whether WordPiece drops accents.
        charsmap: SentencePiece's compiled rules of normalization.
        digest: A sha256 (hex) of all of these.
    """

    model: Model
    pre_tokenizer: PreTokenizer
    tokens: Sequence[str]
    ids: Mapping[str, int]
    types: Sequence[int]
    control: frozenset[int]
    user_defined: frozenset[int]
    plain: frozenset[int]
    scores: Sequence[float]
    merges: Sequence[str]
    roles: Mapping[str, int]
    ends: tuple[int, ...]
    strips: StripRules
    add_bos: bool
    add_eos: bool
    add_space_prefix: bool
    remove_extra_whitespaces: bool
    lowercase: bool
    strip_accents: bool
    charsmap: bytes
    digest: str = ""

    @property
    def adds_last(self) -> bool:
        """Whether a token comes after a text: SEP for WordPiece, always, EOS for the others."""
        return self.add_eos or self.model == "bert"

    @property
    def special_tokens(self) -> SpecialTokens:
        """The special tokens: those of a role by name, and all that are skipped."""
        spelled = {role: self.tokens[token_id] for role, token_id in self.roles.items()}
        usual = {role: spelled.pop(role, None) for role in ("bos", "eos", "unk", "pad", "sep", "cls", "mask")}
        named = {f"{role}_token": token for role, token in spelled.items()}
        return SpecialTokens(**usual, named=named, ids={self.tokens[n]: n for n in sorted(self.control)})


def read_vocabulary(metadata: Metadata, source: str) -> tuple[Vocabulary, str | None]:
    """The vocabulary, and the name of the pre-tokenizer where that says nothing: ``""`` where there is none.

    Raises:
        UnsupportedFormatError: There is no vocabulary, or of a model that can't be read.
        CorruptTokenizerError: It contradicts itself.
    """
    name = metadata.text(f"{_KEY}model")
    model = _MODELS.get(name or "")
    if model is None:
        raise UnsupportedFormatError(_no_model(name, source), source=source)
    pre, unknown_pre = _pre_tokenizer(metadata, name) if model == "gpt2" else (DEFAULT, None)
    tokens = _tokens(metadata, source)
    ids = _ids(tokens, source)
    types = [int(kind) for kind in _per_token(metadata, "token_type", len(tokens), source)] or [NORMAL] * len(tokens)
    roles = _roles(metadata, model, pre, len(tokens))
    spelled = _spelled_roles(ids, roles)
    roles |= spelled
    changed = _types_of_llama_cpp(ids, types, roles, spelled.values())
    lowercase = _flag(metadata, "normalizer.lowercase", default=True)
    vocabulary = Vocabulary(
        model=model,
        pre_tokenizer=pre,
        tokens=tokens,
        ids=ids,
        types=types,
        control=changed.control,
        user_defined=changed.user_defined,
        plain=changed.plain,
        scores=[float(score) for score in _per_token(metadata, "scores", len(tokens), source)],
        merges=_merges(metadata, model, source),
        roles=roles,
        ends=changed.ends,
        strips=_strip_rules(metadata, ids, changed.control | changed.user_defined),
        add_bos=_flag(metadata, "add_bos_token", default=_adds_bos(model, pre)) or pre.joins_newlines,
        add_eos=_flag(metadata, "add_eos_token", default=model == "t5"),
        add_space_prefix=_flag(metadata, "add_space_prefix", default=model == "llama"),
        remove_extra_whitespaces=_flag(metadata, "remove_extra_whitespaces", default=False),
        lowercase=lowercase,
        strip_accents=_flag(metadata, "normalizer.strip_accents", default=lowercase),
        charsmap=bytes(int(byte) & 0xFF for byte in metadata.numbers(f"{_KEY}precompiled_charsmap") or ()),
    )
    return replace(vocabulary, digest=_digest(vocabulary)), unknown_pre


def _digest(vocabulary: Vocabulary) -> str:
    has = vocabulary
    settings = (
        *(has.model, has.pre_tokenizer, has.types, has.scores, sorted(has.roles.items()), has.ends),
        *(sorted(has.strips.left), sorted(has.strips.right)),
        *(sorted(has.control), sorted(has.user_defined), sorted(has.plain), has.charsmap, len(has.tokens)),
    )
    flags = (
        *(has.add_bos, has.add_eos, has.add_space_prefix, has.remove_extra_whitespaces),
        *(has.lowercase, has.strip_accents),
    )
    content = "\n".join((*has.tokens, *has.merges)).encode()
    return hashlib.sha256(repr((settings, flags)).encode() + content).hexdigest()


def _no_model(name: str | None, source: str) -> str:
    if name in (None, "none", "no_vocab"):
        return f"{source} holds no vocabulary: it may be part of a model, like an adapter or an image encoder"
    return (
        f"{source} has a vocabulary of the kind {name!r:.80}; gpt2, llama, bert and t5 can be read. Load the "
        f"tokenizer of the model that it was converted from instead"
    )


def _pre_tokenizer(metadata: Metadata, name: str | None) -> tuple[PreTokenizer, str | None]:
    """The pre-tokenizer of a ``gpt2`` vocabulary, and its name if that says nothing."""
    named = "gemma4" if name == "gemma4" else metadata.text(f"{_KEY}pre")
    known = pre_tokenizer_named(named)
    return (DEFAULT, named or "") if known is None else (known, None)


def _tokens(metadata: Metadata, source: str) -> list[str]:
    tokens = metadata.texts(f"{_KEY}tokens")
    if not tokens:
        raise CorruptTokenizerError(f"{source} names a kind of vocabulary, but has no tokens", source=source)
    if "" in tokens:
        return [token or f"[EMPTY_{token_id}]" for token_id, token in enumerate(tokens)]
    return tokens


def _ids(tokens: Sequence[str], source: str) -> dict[str, int]:
    ids = {token: token_id for token_id, token in enumerate(tokens)}
    if len(ids) != len(tokens):
        twice = next(token for token_id, token in enumerate(tokens) if ids[token] != token_id)
        raise CorruptTokenizerError(
            f"{source} has the token {twice!r:.80} twice, so llama.cpp refuses it too: convert the model again",
            source=source,
        )
    return ids


def _merges(metadata: Metadata, model: Model, source: str) -> Sequence[str]:
    merges = metadata.texts(f"{_KEY}merges")
    if model == "gpt2" and merges is None and metadata.text(f"{_KEY}pre") != "kimi-k2":
        raise CorruptTokenizerError(f"{source} has a vocabulary of tokens, but no merges", source=source)
    return merges or ()


def _per_token(metadata: Metadata, name: str, count: int, source: str) -> Sequence[float]:
    values = metadata.numbers(f"{_KEY}{name}") or ()
    if values and len(values) < count:
        raise CorruptTokenizerError(
            f"{source} has {len(values)} of {name} for {count} tokens: convert the model again", source=source
        )
    if not all(map(math.isfinite, values)):
        raise CorruptTokenizerError(f"{source} has {name} that are no finite numbers", source=source)
    return values[:count]


def _flag(metadata: Metadata, name: str, *, default: bool) -> bool:
    found = metadata.flag(f"{_KEY}{name}")
    return default if found is None else found


def _adds_bos(model: Model, pre: PreTokenizer) -> bool:
    return pre.add_bos if model == "gpt2" else model in ("llama", "bert")


def _roles(metadata: Metadata, model: Model, pre: PreTokenizer, count: int) -> dict[str, int]:
    """The ids of the roles, by default and by what the file says; none beyond the vocabulary."""
    found = {} if pre.joins_newlines else dict(_ROLE_DEFAULTS[model])
    if not pre.has_default_bos:
        found.pop("bos", None)
    found = {role: token_id for role, token_id in found.items() if token_id < count}
    for role, names in _ROLE_KEYS.items():
        for name in names:
            token_id = metadata.integer(f"{_KEY}{name}_token_id")
            if token_id is not None and 0 <= token_id < count:
                found[role] = token_id
    return found


def _spelled_roles(ids: Mapping[str, int], roles: Mapping[str, int]) -> dict[str, int]:
    """The roles that nothing was said of, where a token is spelled like one."""
    found = {}
    for role, spellings in _ROLE_SPELLINGS.items():
        spelled = next((ids[spelling] for spelling in spellings if spelling in ids), None)
        if role not in roles and spelled is not None:
            found[role] = spelled
    return found


@dataclass(frozen=True, slots=True)
class _Types:
    """The ids of each type as llama.cpp changes them, and those that end a generation."""

    control: frozenset[int]
    user_defined: frozenset[int]
    plain: frozenset[int]
    ends: tuple[int, ...]


def _types_of_llama_cpp(
    ids: Mapping[str, int], types: Sequence[int], roles: Mapping[str, int], spelled_roles: Iterable[int]
) -> _Types:
    control = {token_id for token_id, kind in enumerate(types) if kind in (CONTROL, UNKNOWN)}
    user_defined = {token_id for token_id, kind in enumerate(types) if kind == USER_DEFINED}
    plain = set()
    control.update(spelled_roles)
    ends = {roles[role] for role in ("fim_pad", "fim_rep", "fim_sep") if role in roles}
    spelled = {ids[name] for name in _ENDS if name in ids}
    control |= spelled
    ends |= spelled
    for name in _HARMONY:
        if name in ids:
            control.discard(ids[name])
            user_defined.add(ids[name])
    ends |= {roles[role] for role in ("eos", "eot", "eom") if role in roles}
    has = {name for name in ids.keys() & _TOLD_APART if ids[name] in ends}
    if "<|end|>" in has and has & {"<|call|>", "<|calls|>"} and has & {"<|return|>", "<|flush|>"}:
        ends.discard(ids["<|end|>"])
        control.discard(ids["<|end|>"])
        user_defined.add(ids["<|end|>"])
    if "</s>" in has and has & {"<|tool_response>", "<|plamo:eos|>"}:
        ends.discard(ids["</s>"])
        control.discard(ids["</s>"])
        user_defined.discard(ids["</s>"])
        plain.add(ids["</s>"])
    first = [roles[role] for role in ("eos", "eot", "eom") if role in roles and roles[role] in ends]
    ordered = tuple(dict.fromkeys([*first, *sorted(ends)]))
    return _Types(frozenset(control), frozenset(user_defined), frozenset(plain), ordered)


_TOLD_APART = frozenset(
    {"<|end|>", "<|call|>", "<|calls|>", "<|return|>", "<|flush|>", "</s>", "<|tool_response>", "<|plamo:eos|>"}
)


def _strip_rules(metadata: Metadata, ids: Mapping[str, int], special: frozenset[int]) -> StripRules:
    name = (metadata.text("general.name") or "").lower()
    pre = metadata.text(f"{_KEY}pre") or ""
    architecture = metadata.text("general.architecture") or ""
    if any(kind in pre for kind in ("jina-v2-de", "jina-v2-es", "jina-v2-code")) or any(
        kind in architecture for kind in ("nomic-bert-moe", "jina-bert-v3")
    ):
        return StripRules(left=frozenset(ids[token] for token in ("<mask>",) if token in ids))
    if "phi-3" in name or "phi3" in name:
        kept = {ids[token] for token in ("<unk>", "<s>", "<|endoftext|>") if token in ids}
        return StripRules(right=special - kept)
    if "modern-bert" in name:
        return StripRules(left=frozenset(ids[token] for token in ("[MASK]",) if token in ids))
    return StripRules()

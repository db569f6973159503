"""The special tokens that a class of transformers names by itself, where the files don't.

Older repositories leave them to the class (``{{ eos_token }}`` of a GPT-2), so templates need them. They count for
nothing else: the vocabulary is that of the files. A test compares each model type here with transformers itself.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import tokenizers

    from tokenfacade.model_config import ModelConfig

_END = "<|endoftext|>"
_QWEN = dict.fromkeys(("eos_token", "unk_token", "pad_token"), _END)
_GPT2 = dict.fromkeys(("bos_token", "eos_token", "unk_token"), _END)
_LLAMA = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
_GEMMA = {
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
_COHERE = {
    "bos_token": "<BOS_TOKEN>",
    "eos_token": "<|END_OF_TURN_TOKEN|>",
    "unk_token": "<UNK>",
    "sep_token": "<SEP>",
    "pad_token": "<PAD>",
    "cls_token": "<CLS>",
    "mask_token": "<MASK_TOKEN>",
}
_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "CohereTokenizer": _COHERE,
        "GemmaTokenizer": _GEMMA,
        "GPT2Tokenizer": _GPT2,
        "GPTNeoXTokenizer": {**_GPT2, "pad_token": "<|padding|>"},
        "LlamaTokenizer": _LLAMA,
        "Qwen2Tokenizer": _QWEN,
        "Qwen3_5Tokenizer": _QWEN,
    }
)
"""The classes of models that chat."""

_CLASS_OF_MODEL: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("aya_vision", "cohere", "cohere2"), "CohereTokenizer")
    | dict.fromkeys(("gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text"), "GemmaTokenizer")
    | dict.fromkeys(("recurrent_gemma", "shieldgemma2", "t5gemma"), "GemmaTokenizer")
    | dict.fromkeys(("codegen", "dbrx", "gpt2", "gpt_neo", "gptj", "opt", "phi", "starcoder2"), "GPT2Tokenizer")
    | dict.fromkeys(("falcon_mamba", "gpt_neox", "mamba", "mamba2", "mpt", "olmo", "olmoe", "rwkv"), "GPTNeoXTokenizer")
    | dict.fromkeys(("internvl", "qwen2", "qwen2_audio", "qwen2_moe", "qwen2_vl", "qwen2_5_vl"), "Qwen2Tokenizer")
    | dict.fromkeys(("qwen3", "qwen3_moe", "qwen3_next", "qwen3_vl", "qwen3_vl_moe"), "Qwen2Tokenizer")
    | dict.fromkeys(("qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text"), "Qwen3_5Tokenizer")
)
_MISNAMED = frozenset({"qwen2", "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text"})
"""Model types whose repositories often name a wrong class, so that the type decides."""

_WITHOUT_CLASS = frozenset(
    "arctic aria ernie4_5 ernie4_5_moe flex_olmo fuyu glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe gpt_bigcode "
    "granite granitemoe granitemoehybrid granitemoeshared h2ovl_chat hyperclovax internlm2 internlm3 jamba kimi_k25 "
    "kimi_linear llava llava_next mimo_v2_flash minicpm3 minicpmv minimax_m2 ministral ministral3 mistral mistral3 "
    "mixtral molmo molmo2 nemotron olmo2 olmo3 olmo_hybrid opencua persimmon phi3 phi3_v phimoe pixtral smolvlm "
    "stablelm step3_vl vipllava voxtral".split()
)
"""Model types for which no class counts, whatever the files name."""


def names_of_class(config: ModelConfig, raw: tokenizers.Tokenizer) -> Mapping[str, str]:
    """The special tokens that the class of a folder with ``tokenizer.json`` brings along, by name.

    Example:
        >>> import tokenizers
        >>> from tokenfacade.model_config import ModelConfig
        >>> raw = tokenizers.Tokenizer(tokenizers.models.BPE())
        >>> names_of_class(ModelConfig(model={"model_type": "gpt2"}), raw)["eos_token"]
        '<|endoftext|>'
    """
    model_type = config.model.get("model_type")
    if not isinstance(model_type, str):
        model_type = ""
    usual = _CLASS_OF_MODEL.get(model_type)
    name = usual if model_type in _MISNAMED else config.tokenizer_class or usual
    if model_type in _WITHOUT_CLASS or (name == "LlamaTokenizer" and _is_byte_level(raw)):
        return {}
    return _NAMES.get(name or "", {})


def _is_byte_level(raw: tokenizers.Tokenizer) -> bool:
    """Whether bytes are spelled as in GPT-2; such a tokenizer says Llama and is none."""
    return "ByteLevel(" in f"{raw.pre_tokenizer} {raw.decoder} {raw.post_processor}"

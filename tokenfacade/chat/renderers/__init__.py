"""Prompt formats that are code, not Jinja: for models that are published without a chat template.

Which model takes which is one table, read from ``config.json``. A format of one's own needs no entry here: any object
with the members of `tokenfacade.chat.template.ChatRenderer` can be given as ``chat_template``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenfacade.chat.renderer import ChatRenderer


def _deepseek_v32() -> ChatRenderer:
    from tokenfacade.chat.renderers.deepseek_v32 import DeepSeekV32Renderer

    return DeepSeekV32Renderer()


def _harmony() -> ChatRenderer:
    from tokenfacade.chat.renderers.harmony import HarmonyRenderer

    return HarmonyRenderer()


_FACTORIES: Mapping[str, Callable[[], ChatRenderer]] = MappingProxyType(
    {"deepseek_v32": _deepseek_v32, "harmony": _harmony}
)
_MODEL_TYPES = MappingProxyType({"deepseek_v32": "deepseek_v32", "gpt_oss": "harmony"})
_ARCHITECTURES = MappingProxyType({"DeepseekV32ForCausalLM": "deepseek_v32", "GptOssForCausalLM": "harmony"})


def renderer_names() -> tuple[str, ...]:
    """The prompt formats that are built in.

    Example:
        >>> renderer_names()
        ('deepseek_v32', 'harmony')
    """
    return tuple(_FACTORIES)


def renderer_named(name: str) -> ChatRenderer | None:
    """The renderer of a built-in format, or None if `name` is none of `renderer_names`."""
    factory = _FACTORIES.get(name)
    return None if factory is None else factory()


def renderer_for(config: Mapping[str, Any]) -> ChatRenderer | None:
    """The renderer for the model that a ``config.json`` describes, by its model type or else its architecture.

    Example:
        >>> renderer_for({"model_type": "deepseek_v32"}).identity
        'renderer:deepseek_v32'
        >>> renderer_for({"model_type": "llama"}) is None
        True
    """
    model_type, architectures = config.get("model_type"), config.get("architectures")
    name = _MODEL_TYPES.get(model_type) if isinstance(model_type, str) else None
    if name is None and isinstance(architectures, list | tuple):
        known = (_ARCHITECTURES.get(architecture) for architecture in architectures if isinstance(architecture, str))
        name = next(filter(None, known), None)
    return None if name is None else renderer_named(name)

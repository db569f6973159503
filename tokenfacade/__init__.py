"""One API for every tokenizer that an LLM router meets: encode, decode, stream, stop, and render chats: exact and fast.

Example:
    >>> from tokenfacade import create_tokenizer
    >>> tokenizer = create_tokenizer("examples/tokenizer")
    >>> decoder = tokenizer.stop_decoder([" END"])
    >>> "".join(decoder.process_token(token_id).text for token_id in tokenizer.encode("It streams. END of it."))
    'It streams.'
"""

from typing import TYPE_CHECKING

from tokenfacade.backends.mock import MockTokenizer as MockTokenizer
from tokenfacade.cache import CacheConfig as CacheConfig
from tokenfacade.cache import CachedTokenizer as CachedTokenizer
from tokenfacade.cache import CacheStatistics as CacheStatistics
from tokenfacade.cache import LevelStatistics as LevelStatistics
from tokenfacade.chat.limits import TemplateLimits as TemplateLimits
from tokenfacade.chat.renderer import ChatRenderer as ChatRenderer
from tokenfacade.chat.renderer import RenderedChat as RenderedChat
from tokenfacade.chat_protocol import ChatEncoder as ChatEncoder
from tokenfacade.decoding.outputs import Held as Held
from tokenfacade.decoding.outputs import SequenceDecoderOutput as SequenceDecoderOutput
from tokenfacade.decoding.outputs import Stopped as Stopped
from tokenfacade.decoding.outputs import StoppedWithText as StoppedWithText
from tokenfacade.decoding.outputs import Text as Text
from tokenfacade.decoding.sequence import Sequence as Sequence
from tokenfacade.decoding.stop import StopSequenceConfig as StopSequenceConfig
from tokenfacade.decoding.stop import StopSequenceDecoder as StopSequenceDecoder
from tokenfacade.decoding.stop import StopSequenceDecoderBuilder as StopSequenceDecoderBuilder
from tokenfacade.decoding.stream import DecodeStream as DecodeStream
from tokenfacade.encoding import Encoding as Encoding
from tokenfacade.encoding import SpecialTokens as SpecialTokens
from tokenfacade.engine import Engine as Engine
from tokenfacade.errors import ChatTemplateError as ChatTemplateError
from tokenfacade.errors import ConfigurationError as ConfigurationError
from tokenfacade.errors import CorruptTokenizerError as CorruptTokenizerError
from tokenfacade.errors import DecodeError as DecodeError
from tokenfacade.errors import EncodeError as EncodeError
from tokenfacade.errors import HubError as HubError
from tokenfacade.errors import LoadError as LoadError
from tokenfacade.errors import MissingDependencyError as MissingDependencyError
from tokenfacade.errors import NoChatTemplateError as NoChatTemplateError
from tokenfacade.errors import TemplateLimitError as TemplateLimitError
from tokenfacade.errors import TemplateRenderError as TemplateRenderError
from tokenfacade.errors import TemplateSyntaxError as TemplateSyntaxError
from tokenfacade.errors import TokenFacadeError as TokenFacadeError
from tokenfacade.errors import TokenizerNotFoundError as TokenizerNotFoundError
from tokenfacade.errors import UnsupportedFormatError as UnsupportedFormatError
from tokenfacade.factory import create_tokenizer as create_tokenizer
from tokenfacade.factory import create_tokenizer_async as create_tokenizer_async
from tokenfacade.protocols import Decoder as Decoder
from tokenfacade.protocols import Encoder as Encoder
from tokenfacade.protocols import Tokenizer as Tokenizer

if TYPE_CHECKING:
    from tokenfacade.backends.gguf import GGUFTokenizer as GGUFTokenizer
    from tokenfacade.backends.huggingface import HuggingFaceTokenizer as HuggingFaceTokenizer
    from tokenfacade.backends.sentencepiece import SentencePieceTokenizer as SentencePieceTokenizer
    from tokenfacade.backends.tekken import TekkenTokenizer as TekkenTokenizer
    from tokenfacade.backends.tiktoken import TiktokenTokenizer as TiktokenTokenizer
    from tokenfacade.chat.inspect import TemplateTraits as TemplateTraits
    from tokenfacade.chat.inspect import ThinkingToggle as ThinkingToggle
    from tokenfacade.chat.template import ChatTemplate as ChatTemplate

__version__ = "0.1.0"

__all__ = [
    "CacheConfig",
    "CacheStatistics",
    "CachedTokenizer",
    "ChatEncoder",
    "ChatRenderer",
    "ChatTemplate",
    "ChatTemplateError",
    "ConfigurationError",
    "CorruptTokenizerError",
    "DecodeError",
    "DecodeStream",
    "Decoder",
    "EncodeError",
    "Encoder",
    "Encoding",
    "Engine",
    "GGUFTokenizer",
    "Held",
    "HubError",
    "HuggingFaceTokenizer",
    "LevelStatistics",
    "LoadError",
    "MissingDependencyError",
    "MockTokenizer",
    "NoChatTemplateError",
    "RenderedChat",
    "SentencePieceTokenizer",
    "Sequence",
    "SequenceDecoderOutput",
    "SpecialTokens",
    "StopSequenceConfig",
    "StopSequenceDecoder",
    "StopSequenceDecoderBuilder",
    "Stopped",
    "StoppedWithText",
    "TekkenTokenizer",
    "TemplateLimitError",
    "TemplateLimits",
    "TemplateRenderError",
    "TemplateSyntaxError",
    "TemplateTraits",
    "Text",
    "ThinkingToggle",
    "TiktokenTokenizer",
    "TokenFacadeError",
    "Tokenizer",
    "TokenizerNotFoundError",
    "UnsupportedFormatError",
    "create_tokenizer",
    "create_tokenizer_async",
]

if not TYPE_CHECKING:  # or a type checker would believe every name

    def __getattr__(name: str) -> object:
        """Import what builds on a third-party package when it is first asked for."""
        from importlib import import_module

        modules = {
            "ChatTemplate": "chat.template",
            "GGUFTokenizer": "backends.gguf",
            "HuggingFaceTokenizer": "backends.huggingface",
            "SentencePieceTokenizer": "backends.sentencepiece",
            "TekkenTokenizer": "backends.tekken",
            "TemplateTraits": "chat.inspect",
            "ThinkingToggle": "chat.inspect",
            "TiktokenTokenizer": "backends.tiktoken",
        }
        if name not in modules:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{modules[name]}"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})

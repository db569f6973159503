"""Ids remembered: of whole texts, and of the segments that growing chats have in common."""

from tokenfacade.cache.level import CacheStatistics as CacheStatistics
from tokenfacade.cache.level import LevelStatistics as LevelStatistics
from tokenfacade.cache.tokenizer import CacheConfig as CacheConfig
from tokenfacade.cache.tokenizer import CachedTokenizer as CachedTokenizer

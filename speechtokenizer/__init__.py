"""SpeechTokenizer: a codec whose first level holds content and whose other levels hold timbre (arXiv 2308.16692)."""

from __future__ import annotations

from speechtokenizer.config import SpeechTokenizerConfig
from speechtokenizer.model import SpeechTokenizer, load
from speechtokenizer.published import published

__all__ = ["SpeechTokenizer", "SpeechTokenizerConfig", "load", "published"]

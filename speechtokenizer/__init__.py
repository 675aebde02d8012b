"""SpeechTokenizer: a codec whose first level holds what is said and whose other levels hold how (arXiv 2308.16692)."""

from __future__ import annotations

from speechtokenizer.config import SpeechTokenizerConfig
from speechtokenizer.model import SpeechTokenizer, load
from speechtokenizer.published import published

__all__ = ["SpeechTokenizer", "SpeechTokenizerConfig", "load", "published"]

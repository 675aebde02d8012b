"""USLM: text to the codes of SpeechTokenizer in the voice of a prompt (arXiv 2308.16692, section 3.4)."""

from __future__ import annotations

from speechtokenizer.uslm.config import USLMConfig
from speechtokenizer.uslm.model import SYMBOLS, USLM, load, read_published
from speechtokenizer.uslm.published import published
from speechtokenizer.uslm.text import PhoneTokenizer

__all__ = ["SYMBOLS", "USLM", "PhoneTokenizer", "USLMConfig", "load", "published", "read_published"]

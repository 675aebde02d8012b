"""Unit language model: likelihoods and continuations of unit sequences.

>>> from mistral_ulm import UnitLM, UnitTokenizer
"""

from mistral_ulm.model import Generated, UnitLM, load, published
from mistral_ulm.tokenizer import PhonemeTokenizer, UnitTokenizer

__all__ = ["Generated", "PhonemeTokenizer", "UnitLM", "UnitTokenizer", "load", "published"]

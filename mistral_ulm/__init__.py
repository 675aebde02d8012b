"""The unit language model: likelihoods of unit sequences, and their continuation.

>>> from mistral_ulm import UnitLM, UnitTokenizer
"""

from mistral_ulm.model import Generated, UnitLM, load, published
from mistral_ulm.tokenizer import PhonemeTokenizer, UnitTokenizer

__all__ = ["Generated", "PhonemeTokenizer", "UnitLM", "UnitTokenizer", "load", "published"]

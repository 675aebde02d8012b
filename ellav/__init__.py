"""ELLA-V: units (or phonemes) to codec tokens.

>>> from ellav import EllaV, EllaVTokenizer
"""

from ellav.model import EllaV, load, published
from ellav.tokenizer import EllaVTokenizer

__all__ = ["EllaV", "EllaVTokenizer", "load", "published"]

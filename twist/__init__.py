"""TWIST (arXiv 2305.13009): its unit vocoder, and those of Expresso and fairseq's speech-to-speech translation.

>>> from twist import UnitVocoder
"""

from twist.vocoder import UnitVocoder
from twist.vocoder_config import VocoderConfig

__all__ = ["UnitVocoder", "VocoderConfig"]

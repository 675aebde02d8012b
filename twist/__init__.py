"""TWIST (arXiv 2305.13009): its encoder, language models and unit vocoder, and vocoders of Expresso and translation.

>>> from twist import MHuBERT, TwistLM, UnitVocoder
"""

from twist.lm import TwistLM
from twist.lm_config import TwistLMConfig
from twist.mhubert import MHuBERT
from twist.vocoder import UnitVocoder
from twist.vocoder_config import VocoderConfig

__all__ = ["MHuBERT", "TwistLM", "TwistLMConfig", "UnitVocoder", "VocoderConfig"]

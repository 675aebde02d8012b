"""TWIST (arXiv 2305.13009): its language models, its unit vocoder, and those of Expresso and speech-to-speech.

>>> from twist import TwistLM, UnitVocoder
"""

from twist.lm import TwistLM
from twist.lm_config import TwistLMConfig
from twist.vocoder import UnitVocoder
from twist.vocoder_config import VocoderConfig

__all__ = ["TwistLM", "TwistLMConfig", "UnitVocoder", "VocoderConfig"]

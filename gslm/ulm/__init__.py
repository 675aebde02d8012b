"""The unit language model of GSLM: fairseq's decoder-only transformer over deduplicated units."""

from __future__ import annotations

from gslm.ulm.config import ULMConfig
from gslm.ulm.dictionary import UnitDictionary
from gslm.ulm.model import GSLMUnitLM, load
from gslm.ulm.published import published

__all__ = ["GSLMUnitLM", "ULMConfig", "UnitDictionary", "load", "published"]

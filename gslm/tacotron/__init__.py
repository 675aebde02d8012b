"""Tacotron 2 over units in place of letters, the acoustic model of GSLM (arXiv 1712.05884, 2102.01192)."""

from __future__ import annotations

from gslm.tacotron.codes import CodeTable
from gslm.tacotron.config import TacotronConfig
from gslm.tacotron.model import Spectrogram, Tacotron, load
from gslm.tacotron.published import published

__all__ = ["CodeTable", "Spectrogram", "Tacotron", "TacotronConfig", "load", "published"]

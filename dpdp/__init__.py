"""DPDP: discrete units of speech that change seldom, at the cost of finding the nearest code."""

from __future__ import annotations

from dpdp.naive import naive, objective
from dpdp.quantizer import DPDPQuantizer

__all__ = ["DPDPQuantizer", "naive", "objective"]

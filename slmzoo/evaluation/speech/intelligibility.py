"""STOI, PESQ and ViSQOL of speech that is time-aligned with its original, e.g. codec reconstructions.

STOI: Taal et al., doi 10.1109/TASL.2011.2114881, by the package pystoi. PESQ: ITU-T P.862.2 (wideband), by the package
pesq. ViSQOL: Chinen et al., arXiv 2004.09584 (speech mode, polynomial mapping), by the package visqol-python. None is
defined for speech with timing of its own, such as ELLA-V's.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slmcore import audio
from slmzoo.evaluation.optional import need

__all__ = ["pesq", "require", "stoi", "visqol"]

_PESQ_RATE = 16000
_VISQOL_RATE = 16000
_MOST_APART = 0.05


_PACKAGES = {
    "stoi": ("pystoi", "STOI", ""),
    "pesq": ("pesq", "PESQ", "pip install pesq (it is compiled, and licensed by ITU-T's terms)"),
    "visqol": ("visqol", "ViSQOL", "pip install 'slmzoo[visqol]'"),
}


def require(metric: str) -> Any:
    """Import the package that computes "stoi", "pesq" or "visqol". Raises an ImportError that says what to install."""
    return need(*_PACKAGES[metric])


def stoi(original: Tensor, copy: Tensor, sr: int) -> float:
    """Compute short-time objective intelligibility, about 0..1, of wavs (1, samples) at `sr` Hz.

    The longer one is truncated. Raises ValueError if it is longer by more than 50 ms, or if too little of the original
    is speech (about 0.4 s is needed).
    """
    package = require("stoi")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(package.stoi(*_together(original, copy, sr=sr), sr))
        except RuntimeWarning as error:
            raise ValueError("STOI needs about 0.4 s of speech that is not silent.") from error


def pesq(original: Tensor, copy: Tensor, sr: int) -> float:
    """Compute wideband PESQ, a MOS of 1.04 to 4.64, of wavs (1, samples) at `sr` Hz. Raises as `stoi`."""
    package = require("pesq")
    wavs = _together(*(audio.resample(wav, sr, _PESQ_RATE) for wav in (original, copy)), sr=_PESQ_RATE)
    try:
        return float(package.pesq(_PESQ_RATE, *wavs, "wb"))
    except package.PesqError as error:
        raise ValueError(f"PESQ finds no score: {error}") from error


def visqol(original: Tensor, copy: Tensor, sr: int) -> float:
    """ViSQOL's estimate of a mean opinion score, 1 to 5, of wavs (1, samples) at `sr` Hz. Raises as `stoi`.

    It needs about a second of speech.
    """
    require("visqol")
    wavs = _together(*(audio.resample(wav, sr, _VISQOL_RATE) for wav in (original, copy)), sr=_VISQOL_RATE)
    try:
        return float(_visqol().measure_from_arrays(*wavs, _VISQOL_RATE).moslqo)
    except IndexError as error:
        raise ValueError("ViSQOL needs about a second of speech that is not silent.") from error


@cache
def _visqol() -> Any:
    """The package's speech mode, with the mapping that needs no other package."""
    made = require("visqol").VisqolApi()
    made.create(mode="speech", use_lattice_model=False)
    return made


def _together(original: Tensor, copy: Tensor, *, sr: int) -> list[np.ndarray]:
    for wav, name in ((original, "original"), (copy, "copy")):
        audio.check(wav, sr, name)
    lengths = [original.shape[1], copy.shape[1]]
    if abs(lengths[0] - lengths[1]) > _MOST_APART * sr:
        seconds = " and ".join(f"{n / sr:.2f} s" for n in lengths)
        raise ValueError(f"The original and its copy last {seconds}: they are not time-aligned.")
    return [wav[0, : min(lengths)].detach().cpu().to(torch.float64).numpy() for wav in (original, copy)]

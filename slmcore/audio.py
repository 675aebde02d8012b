"""The one place where audio is found, read, checked, resampled and written."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from glob import glob
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from slmcore.errors import must
from slmcore.files import atomic, places
from slmcore.files.places import Place

__all__ = [
    "EXTENSIONS",
    "SHORTEST_SECONDS",
    "check",
    "check_audible",
    "decode",
    "find",
    "is_empty",
    "is_silent",
    "load",
    "mono",
    "read",
    "resample",
    "write",
]

EXTENSIONS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")
"""What `find` takes for audio in a folder, in lower case."""
SHORTEST_SECONDS = 0.02
"""320 samples at 16 kHz: one frame of the encoder."""

_SILENCE = 1e-4
_HIGHEST_RATE = 768_000


def read(path: Place) -> tuple[Tensor, int]:
    """Read a file that libsndfile knows (wav, flac, ogg, mp3): float32 wav (channels, samples) and its rate in Hz.

    `path` may be an fsspec URL. Raises OSError if the file cannot be opened (FileNotFoundError, IsADirectoryError,
    PermissionError) and ValueError if it is not whole, finite audio of at least one sample. Every message names it.
    """
    with places.open_file(path) as file:
        return decode(file, str(path))


def decode(file: BinaryIO, name: str, start: float = 0.0, seconds: float | None = None) -> tuple[Tensor, int]:
    """As `read`, from a file that is open, or a part of it: `seconds` (None: all) from `start`.

    `name` is what messages call it. A part that the file does not hold is a ValueError.
    """
    import soundfile

    if not file.read(1):
        raise ValueError(f"{name} is empty (0 bytes).")
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            sr = sound.samplerate
            first, wanted = round(start * sr), -1 if seconds is None else round(seconds * sr)
            if first or wanted >= 0:
                sound.seek(first)
            samples = sound.read(wanted, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise ValueError(f"{name} is not audio that can be read: {_reason(error)}") from error
    if not samples.size:
        raise ValueError(f"{name} holds no samples.")
    if len(samples) < wanted:
        raise ValueError(f"{name} holds only {len(samples) / sr:.2f} s of the {seconds} s from {start} s on.")
    if not 0 < sr <= _HIGHEST_RATE:
        raise ValueError(f"{name} says that it has {sr} samples a second. Its header is damaged.")
    wav = torch.from_numpy(samples.T.copy())
    if not torch.isfinite(wav).all():
        raise ValueError(f"{name} holds NaN or infinite samples.")
    return wav, sr


def load(path: Place) -> tuple[Tensor, int]:
    """Read a file as mono speech: float32 wav (1, samples) and its rate in Hz.

    Raises as `read` does, and ValueError for less than 20 ms.
    """
    wav, sr = read(path)
    wav = mono(wav)
    check(wav, sr, str(path))
    return wav, sr


def is_empty(path: Place) -> bool:
    """Whether a file is a whole wav of length zero, as `write` leaves it of speech that is empty.

    A file that was cut off behind its header is none. Raises OSError as `read`.
    """
    import soundfile

    with places.open_file(path) as file:
        try:
            with soundfile.SoundFile(file) as sound:
                return not sound.frames and "should be" not in sound.extra_info
        except (soundfile.LibsndfileError, RuntimeError):
            return False


def mono(wav: Tensor) -> Tensor:
    """The mean over the channels: (channels, samples) to (1, samples)."""
    if wav.ndim != 2:
        raise ValueError(must("wav", "a tensor (channels, samples)", _shown(wav)))
    return wav if wav.shape[0] == 1 else wav.mean(0, keepdim=True)


def resample(wav: Tensor, sr: int, to: int) -> Tensor:
    """Bring a wav (..., samples) from `sr` to `to` Hz with torchaudio's default windowed sinc."""
    if sr == to:
        return wav
    import torchaudio

    return torchaudio.functional.resample(wav, sr, to)


def check(wav: Tensor, sr: int, name: str = "wav") -> None:
    """Raise a ValueError unless `wav` is finite float audio (1, samples) of at least 20 ms and `sr` a rate in Hz.

    `name`: what the message calls the wav, e.g. the file that it came from.
    """
    if not isinstance(sr, int) or isinstance(sr, bool) or sr <= 0:
        raise ValueError(must("sr", "a whole number of samples a second > 0", sr))
    if not isinstance(wav, Tensor) or not wav.is_floating_point():
        raise ValueError(must(name, "a float tensor (1, samples)", _shown(wav), "Divide 16-bit integers by 32768."))
    if wav.ndim != 2 or wav.shape[0] != 1:
        remedy = "Average the channels with `wav.mean(0, keepdim=True)`." if wav.ndim == 2 else "Use `wav[None]`."
        raise ValueError(must(name, "a float tensor (1, samples)", _shown(wav), remedy if wav.ndim < 3 else ""))
    shortest = math.ceil(SHORTEST_SECONDS * sr)
    if wav.shape[1] < shortest:
        raise ValueError(must(name, f"at least {shortest} samples long (20 ms at {sr} Hz)", f"a wav of {wav.shape[1]}"))
    if not torch.isfinite(wav).all():
        raise ValueError(must(name, "finite", "a wav with NaN or infinite samples"))


def is_silent(wav: Tensor) -> bool:
    """Whether no sample is louder than -80 dB of full scale."""
    return wav.numel() == 0 or float(wav.abs().max()) < _SILENCE


def check_audible(wav: Tensor, name: str) -> None:
    """Raise a ValueError that names the audio if it is silent."""
    if is_silent(wav):
        raise ValueError(f"{name} is silent: no sample is louder than -80 dB of full scale.")


def write(path: str | Path, wav: Tensor, sr: int) -> int:
    """Write a wav (channels, samples) or (samples,) as 16-bit PCM; the file appears only when it is whole.

    Returns how many samples were clipped to +-1. A wav of length zero is a valid file. Raises ValueError for what is
    not finite float audio, OSError if the folder is missing or cannot be written.
    """
    import soundfile

    path = Path(path)
    wav = wav.detach().cpu().float()
    wav = wav[None] if wav.ndim == 1 else wav
    if wav.ndim != 2 or not torch.isfinite(wav).all():
        raise ValueError(must("wav", "finite audio (channels, samples)", _shown(wav), f"{path} was not written."))
    samples = (wav.clamp(-1, 1) * 32767).round().to(torch.int16).T.contiguous().numpy()
    content = io.BytesIO()  # a wav's header is written last, and a pipe cannot go back
    soundfile.write(content, samples, sr, format="WAV", subtype="PCM_16")
    atomic.write_bytes(path, content.getvalue())
    return int((wav.abs() > 1).sum())


def find(sources: str | Path | Iterable[str | Path]) -> list[Path]:
    """The audio files that paths, folders (searched to the bottom) and glob patterns name, sorted, each once.

    A file that is named itself is taken whatever its extension. Raises FileNotFoundError for what names nothing.
    """
    found: dict[Path, Path] = {}
    for source in [sources] if isinstance(sources, str | Path) else sources:
        # `Path.glob` takes no absolute pattern
        named = [source] if Path(source).exists() else glob(str(source), recursive=True)  # noqa: PTH207
        if not named:
            raise FileNotFoundError(f"{source} is no file, folder or pattern that matches a file.")
        for path in map(Path, named):
            for file in _audio_in(path) if path.is_dir() else [path]:
                found.setdefault(file.resolve(), file)
    return sorted(found.values())


def _audio_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in EXTENSIONS and path.is_file()]


def _reason(error: BaseException) -> str:
    return str(error).split("Error opening ")[-1].rpartition(">: ")[2].strip() or type(error).__name__


def _shown(wav: object) -> str:
    if isinstance(wav, Tensor):
        return f"a {str(wav.dtype).removeprefix('torch.')} tensor {tuple(wav.shape)}"
    return f"a {type(wav).__name__}"

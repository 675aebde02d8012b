"""Voices of flite, a free synthesiser of Carnegie Mellon University: at once on any machine, and of known phones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import soundfile

from slmcore.files import atomic

__all__ = ["VOICES", "speak"]

VOICES = ("slt", "rms", "awb", "kal16")
_MISSING = "The program `flite` was not found. Install it (Debian: `apt install flite`, macOS: `brew install flite`)."
_SAMPLE_RATE = 16000


def speak(sentence: str, path: str | Path, voice: str = "slt", stretch: float = 1.0) -> list[tuple[str, float]]:
    """Synthesise one sentence as a 16 kHz wav with flite, atomically.

    Returns its phones, including pauses ("pau"), each with its end in seconds. Raises RuntimeError if flite is not
    installed or fails.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as part:
        phones = _spoken(sentence, part, voice, stretch)
    ends = (segment.rpartition(":") for segment in phones.split())
    return [(phone, float(end)) for phone, _, end in ends]


def _spoken(sentence: str, path: Path, voice: str, stretch: float) -> str:
    """Return flite's wav, and the phones that it prints."""
    options = ["-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "-psdur"]
    command = ["flite", *options, "-t", sentence, "-o", str(path)]
    try:
        process = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    except FileNotFoundError:
        raise RuntimeError(_MISSING) from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"flite failed on {sentence!r} with voice {voice}: {error.stderr.strip()}") from error
    rate = soundfile.info(path).samplerate
    if rate != _SAMPLE_RATE:
        raise RuntimeError(f"flite's voice {voice} speaks at {rate} Hz, but recipes need {_SAMPLE_RATE}.")
    return process.stdout

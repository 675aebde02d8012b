"""English phonemes by espeak-ng, and in the symbols of Kokoro's vocabulary."""

from __future__ import annotations

import re
import subprocess

__all__ = ["ipa", "phonemes"]

_MISSING = "The program `espeak-ng` was not found. Install it (Debian: `apt install espeak-ng`)."
_SYMBOLS = (
    # Kokoro writes a diphthong or an affricate as one symbol, and no length.
    ("eɪ", "A"),
    ("aɪ", "I"),
    ("oʊ", "O"),
    ("aʊ", "W"),
    ("ɔɪ", "Y"),
    ("dʒ", "ʤ"),
    ("tʃ", "ʧ"),
    ("ɜː", "ɜɹ"),
    ("ɚ", "əɹ"),
    ("o", "ɔ"),
    ("ɐ", "ə"),
    ("ː", ""),
    ("ɹɹ", "ɹ"),
    ("e", "ɛ"),
    ("r", "ɹ"),
    ("g", "ɡ"),
    ("\u0361", ""),
)
_SYLLABIC = re.compile("(.)\u0329")
"""Syllabic consonant, which Kokoro writes with a schwa."""


def ipa(text: str) -> str:
    """Return the phonemes of a sentence in American English, in the International Phonetic Alphabet.

    Raises RuntimeError if espeak-ng is not installed or fails.
    """
    command = ["espeak-ng", "-q", "--ipa", "-v", "en-us", "--stdin"]
    try:
        made = subprocess.run(command, input=text, check=True, capture_output=True, text=True)  # noqa: S603
    except FileNotFoundError:
        raise RuntimeError(_MISSING) from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"espeak-ng failed on {text!r}: {error.stderr.strip()}") from error
    return " ".join(made.stdout.split())


def phonemes(text: str) -> str:
    """Return the phonemes of a sentence in Kokoro's symbols, ended by a full stop; raises as `ipa`."""
    symbols = _SYLLABIC.sub(r"ə\1", ipa(text))
    for symbol, kokoro in _SYMBOLS:
        symbols = symbols.replace(symbol, kokoro)
    return f"{symbols}."

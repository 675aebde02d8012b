"""Text to phones by espeak-ng, which the package phonemizer calls; both are optional."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from slmcore.errors import must
from speechtokenizer.uslm.text import split

__all__ = ["is_available", "phones_of"]

_REMEDY = "pip install 'slmzoo[phonemes]', and the program espeak-ng (apt install espeak-ng, brew install espeak-ng)"


def is_available() -> bool:
    """Whether text can be turned into phones here."""
    try:
        return bool(_backend("en-us"))
    except ImportError:
        return False


def phones_of(text: str, language: str = "en-us") -> list[str]:
    """Return the phones and punctuation marks of a text, with "_" between words, the inputs of VALL-E and USLM.

    Without stress marks; numbers and abbreviations are spelt out by espeak-ng. Raises ValueError for a text without a
    phone or an unknown language, ImportError without phonemizer or espeak-ng.
    """
    _, separator = _package()
    marks = separator(word="_", phone="|", syllable="-")
    # Without pauses at the ends, which versions of phonemizer treat differently.
    found = _backend(language).phonemize([" ".join(text.split())], separator=marks, strip=True, njobs=1)
    phones = split("".join(found))
    if not any(character.isalpha() for phone in phones for character in phone):
        raise ValueError(must("text", "words that can be spoken", text))
    return phones


@cache
def _backend(language: str) -> Any:
    backend, _ = _package()
    if not backend.is_available():
        raise ImportError(f"Phones of a text need espeak-ng, which phonemizer does not find. Install it: {_REMEDY}.")
    if not backend.is_supported_language(language):
        raise ValueError(must("language", "a voice of espeak-ng (espeak-ng --voices)", language))
    return backend(
        language,
        preserve_punctuation=True,
        with_stress=False,
        tie=False,
        language_switch="keep-flags",
        words_mismatch="ignore",
    )


def _package() -> tuple[Any, Any]:
    try:
        backend, separator = (importlib.import_module(f"phonemizer.{name}") for name in ("backend", "separator"))
    except ImportError as error:
        raise ImportError(f"Phones of a text need phonemizer ({error}). Install it: {_REMEDY}.") from error
    return backend.EspeakBackend, separator.Separator

"""SpeechTokenizer (arXiv 2308.16692): level 1 of its codes as units, all levels as a codec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import speechtokenizer
from slmzoo.first_level import system_of
from slmzoo.sources import Source
from slmzoo.text_to_speech import USLMSpeech
from slmzoo.text_to_speech import load as load_speech
from speechtokenizer import SpeechTokenizer

__all__ = ["SYSTEM", "codec", "uslm"]

_KIND = "speechtokenizer"


def codec(variant: str | None = None, **source: Any) -> SpeechTokenizer:
    """Load the codec, by default the zoo's first variant."""
    where = Source.of(**source)
    row = where.find(_KIND, variant=where.variant(_KIND, variant))
    # In the cache the files beside a file belong to other models.
    beside = row is None or "://" not in row.url
    return speechtokenizer.load(where.path(row), beside=beside).to(where.map_location)


def uslm(
    variant: str | None = None,
    *,
    symbols: str | Path | None = None,
    codec_checkpoint: str | Path | None = None,
    **source: Any,
) -> USLMSpeech:
    """USLM with its phones and its codec; `symbols` and `codec_checkpoint` are files in place of the zoo's."""
    where = Source.of(**source)
    of_codec = replace(where, checkpoint=codec_checkpoint)
    return load_speech(lambda name: codec(name, where=of_codec), _KIND, where, variant, symbols)


SYSTEM = system_of(_KIND, codec)

"""SpeechTokenizer (arXiv 2308.16692): level 1 of its codes as units, all levels as a codec."""

from __future__ import annotations

from typing import Any

import speechtokenizer
from slmzoo.first_level import system_of
from slmzoo.sources import Source
from speechtokenizer import SpeechTokenizer

__all__ = ["SYSTEM", "codec"]

_KIND = "speechtokenizer"


def codec(variant: str | None = None, **source: Any) -> SpeechTokenizer:
    """The codec; the zoo's first where no variant is named."""
    where = Source.of(**source)
    row = where.find(_KIND, variant=where.variant(_KIND, variant))
    # In a cache the neighbours of a file are other models'.
    beside = row is None or "://" not in row.url
    return speechtokenizer.load(where.path(row), beside=beside).to(where.map_location)


SYSTEM = system_of(_KIND, codec)

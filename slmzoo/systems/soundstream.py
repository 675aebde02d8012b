"""SoundStream (arXiv 2107.03312): level 1 of its codes as units, all levels as a codec. No weights are published."""

from __future__ import annotations

from typing import Any

import soundstream
from slmcore.files import registry
from slmzoo.first_level import system_of
from slmzoo.sources import Source
from soundstream import SoundStream

__all__ = ["SYSTEM", "codec"]

_KIND = "soundstream"


def codec(variant: str | None = None, **source: Any) -> SoundStream:
    """Load the codec of a zoo or file. Raises ValueError if neither is named: there are no published weights."""
    where = Source.of(**source)
    if where.checkpoint is None and where.zoo not in registry.zoos(where.registry):
        told = f"There is no zoo {where.zoo!r}: no weights of SoundStream are published."
        raise ValueError(f"{told} Give checkpoint=, or zoo= and registry= of a zoo of your own.")
    row = where.find(_KIND, variant=where.variant(_KIND, variant))
    facts = {} if row is None or row.sample_rate is None else {"sample_rate": row.sample_rate}
    return soundstream.load(where.path(row), **facts).to(where.map_location)


SYSTEM = system_of(_KIND, codec)

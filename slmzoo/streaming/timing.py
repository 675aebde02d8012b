"""Windows and delays of a stream."""

from __future__ import annotations

import math
from dataclasses import dataclass

from slmcore.errors import must

__all__ = ["Timing"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Lengths in seconds; each is rounded to whole frames of the encoder.

    A frame is encoded at the latest `step + ahead` after it was spoken, and decided `wait` after that. The encoder runs
    on `context + step + ahead` for every `step` of speech, so that short steps cost computation.
    """

    step: float = 0.1
    """New speech of each window."""
    ahead: float = 0.3
    """Speech after the new that its frames see."""
    context: float = 2.0
    """Speech before the new that its frames see."""
    wait: float | None = 0.1
    """Longest wait for the search to agree on a frame's unit; None waits until no future can change it."""

    def __post_init__(self) -> None:
        for name, least in (("step", 0.001), ("ahead", 0.0), ("context", 0.0)):
            _check(name, getattr(self, name), least)
        if self.wait is not None:
            _check("wait", self.wait, 0.0)

    @property
    def delay(self) -> float:
        """Longest time from a frame to its unit, computation aside; infinite without a bound on the search."""
        return math.inf if self.wait is None else self.step + self.ahead + self.wait


def _check(name: str, value: float, least: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value < math.inf:
        raise ValueError(must(name, f"a number of seconds >= {least:g}", value))

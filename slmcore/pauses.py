"""Where long speech can be cut without cutting a word."""

from __future__ import annotations

from torch import Tensor

from slmcore.errors import must

__all__ = ["pauses"]

_WINDOW_SECONDS = 0.02


def pauses(wav: Tensor, sr: int, longest_seconds: float = 30.0) -> list[int]:
    """Where to cut a wav (1, samples) so that no piece is longer than `longest_seconds`: samples, ascending.

    The cut is the quietest 20 ms in the second half of what the next piece may hold, so that pieces of a cut wav last
    at least a quarter of the limit. No cuts for a short wav.
    Raises ValueError for a limit below a second.
    """
    if not longest_seconds >= 1:
        raise ValueError(must("longest_seconds", "at least a second", longest_seconds))
    longest, window = int(longest_seconds * sr), max(1, int(_WINDOW_SECONDS * sr))
    cuts: list[int] = []
    start = 0
    while wav.shape[-1] - start > longest:
        begin = start + longest // 2
        end = min(start + longest, wav.shape[-1] - longest // 4)
        power = wav[0, begin:end].float().square().unfold(0, window, window).sum(1)
        start = begin + int(power.argmin()) * window + window // 2
        cuts.append(start)
    return cuts

"""Speech as synthesisers and pipelines return it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["Continuation", "Speech"]


@dataclass(frozen=True, eq=False)
class Speech:
    """Speech synthesised from units."""

    wav: Tensor
    """float32 (1, samples), on the synthesiser's device; of length zero if nothing was generated. Between the segments
    of long speech lie pauses, as zeros without frames."""
    sample_rate: int
    codes: Tensor
    """Codec tokens of the speech, int64 (n,), on the CPU; empty for a synthesiser without a codec."""
    finished: bool
    """Whether every unit was spoken and, where the units have durations, each segment lasts about as long as its units.
    Otherwise the limit of steps was reached, or speech was lost or added."""
    durations: Tensor
    """Frames of each unit that was begun, over all segments, int64 (units,), on the CPU."""
    frame_rate: float
    """Frames per second of the durations."""
    wanted_seconds: float | None = None
    """Duration in seconds of the units, and of pauses between segments, in the original speech; None for units without
    durations."""

    def __repr__(self) -> str:
        whole = "" if self.finished else ", not finished"
        return f"Speech({self.seconds:.2f} s at {self.sample_rate} Hz, {len(self.codes)} codec tokens{whole})"

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.wav.shape[1] / self.sample_rate

    @property
    def empty(self) -> bool:
        """Whether the speech is of length zero."""
        return self.wav.shape[1] == 0

    def frames_of(self, units: int) -> int:
        """Number of frames of the first `units` units."""
        return int(self.durations[:units].sum())

    def samples_of(self, units: int) -> int:
        """Number of samples of the first `units` units."""
        return round(self.frames_of(units) * self.sample_rate / self.frame_rate)

    def without_start(self, units: int) -> Speech:
        """Speech without its first units."""
        wav, codes = self.wav[:, self.samples_of(units) :], self.codes[self.frames_of(units) :]
        return replace(self, wav=wav, codes=codes, durations=self.durations[units:])

    @staticmethod
    def joined(segments: Sequence[Speech], silences: Sequence[float]) -> Speech:
        """Concatenate segments of speech, with `silences` in seconds before, between and after them."""
        first, wanted = segments[0], [s.wanted_seconds for s in segments if s.wanted_seconds is not None]
        quiet = [first.wav.new_zeros(1, round(seconds * first.sample_rate)) for seconds in silences]
        wavs = [part for pair in zip(quiet, [s.wav for s in segments], strict=False) for part in pair]
        return replace(
            first,
            wav=torch.cat([*wavs, quiet[-1]], 1),
            codes=torch.cat([s.codes for s in segments]),
            finished=all(s.finished for s in segments),
            durations=torch.cat([s.durations for s in segments]),
            wanted_seconds=sum(wanted) + sum(silences) if len(wanted) == len(segments) else None,
        )


@dataclass(frozen=True, eq=False)
class Continuation:
    """Speech that continues a prompt, or is generated unconditionally."""

    speech: Speech
    """The continuation alone, or the prompt's resynthesis and the continuation."""
    prompt: Tensor
    """Units of the prompt, int64 (n,), on the CPU; empty without one."""
    units: Tensor
    """The new units, int64 (m,), on the CPU."""
    log_probs: Tensor
    """Natural log-probability of each new unit, float32 (m,)."""
    finished: bool
    """Whether the language model ended the utterance."""

    def __repr__(self) -> str:
        end = "ended" if self.finished else "not ended"
        return f"Continuation({len(self.prompt)} units continued by {len(self.units)}, {end}: {self.speech!r})"

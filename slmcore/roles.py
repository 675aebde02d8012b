"""Roles that models play in a pipeline, as protocols, and what synthesisers and pipelines return.

A system is any set of classes with these attributes and methods; none of them has to inherit anything. A pipeline has
an encoder and a quantiser, or a codec; any other role may be missing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from slmcore.units import Codes, OperatingPoint, Units

__all__ = [
    "Codec",
    "Continuation",
    "Encoder",
    "Generated",
    "Quantizer",
    "Speech",
    "Synthesizer",
    "TextToSpeech",
    "UnitLanguageModel",
    "UnitSequence",
    "greedy_options",
    "options_of",
    "point_of",
    "scores_first",
    "usual_new_units",
]

_USUAL_NEW_UNITS = 150

UnitSequence = Units | Tensor | Sequence[int]
"""Units of an utterance: with durations, as int64 (n,), or as a sequence of integers."""


@runtime_checkable
class Encoder(Protocol):
    """Speech to features."""

    frame_rate: Any
    """Feature frames per second, a float."""
    operating_point: Any
    """Its name as an `OperatingPoint`, or None."""

    @property
    def sample_rate(self) -> int:
        """Hz of the waveforms that it reads; others are resampled."""
        ...

    @property
    def dim(self) -> int:
        """Width of the features."""
        ...

    @property
    def num_layers(self) -> int:
        """Highest `layer`."""
        ...

    def features(self, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
        """Return features (frames, dim) of a waveform (1, samples) at `sr` Hz; layers count from 1."""
        ...

    def features_batch(self, wavs: Sequence[Tensor], sr: int, layer: int | None = None) -> list[Tensor]:
        """Return the features of each waveform, equal to what `features` gives it alone."""
        ...


@runtime_checkable
class Quantizer(Protocol):
    """Features to units."""

    operating_point: Any
    """`OperatingPoint` of the units, or None."""

    @property
    def k(self) -> int:
        """Number of codes."""
        ...

    @property
    def dim(self) -> int:
        """Width of the features."""
        ...

    def segment(self, features: Any) -> Any:
        """Return `Units` of features (frames, dim), or a list of them for a list of features."""
        ...


@dataclass(frozen=True)
class Generated:
    """Units that a language model generated: one entry for each prompt and sample, samples of a prompt side by side."""

    units: list[Tensor]
    """New units of each sequence, int64 (n_i,), on the CPU."""
    log_probs: list[Tensor]
    """Natural log-probability of each new unit under the model, float32 (n_i,)."""
    finished: list[bool]
    """Whether the model ended the utterance itself."""


@runtime_checkable
class UnitLanguageModel(Protocol):
    """Likelihood and continuation of units."""

    operating_point: Any

    @property
    def k(self) -> int:
        """Number of units."""
        ...

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        ...

    def logprobs(
        self, sequences: Sequence[UnitSequence], *, bos: bool = True, eos: bool = False, progress: bool = False
    ) -> list[Tensor]:
        """Return the natural log-probabilities of the scored tokens of each sequence, float32 on the CPU."""
        ...

    @property
    def generate(self) -> Callable[..., Generated]:
        """Continue each of `prompts` by up to `max_new_units` units; sampling options are the model's own."""
        ...


@dataclass(frozen=True, eq=False)
class Speech:
    """Speech made from units."""

    wav: Tensor
    """float32 (1, samples), on the synthesiser's device; of length zero if nothing was generated. Between the segments
    of long speech lie pauses, as zeros without frames."""
    sample_rate: int
    codes: Tensor
    """Codec tokens behind it, int64 (n,), on the CPU; empty for a synthesiser without a codec."""
    finished: bool
    """Whether every unit was spoken and, where the units have durations, each segment lasts about as long as its units.
    Otherwise the steps ran out, or speech was lost or added."""
    durations: Tensor
    """Frames of each unit begun, segment by segment, int64 (units,), on the CPU."""
    frame_rate: float
    """Frames per second of the durations."""
    wanted_seconds: float | None = None
    """Seconds that the units, and the pauses between segments, last in the speech that they were found in; None for
    units without durations."""

    def __repr__(self) -> str:
        whole = "" if self.finished else ", not finished"
        return f"Speech({self.seconds:.2f} s at {self.sample_rate} Hz, {len(self.codes)} codec tokens{whole})"

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.wav.shape[1] / self.sample_rate

    @property
    def empty(self) -> bool:
        """Whether nothing was generated."""
        return self.wav.shape[1] == 0

    def frames_of(self, units: int) -> int:
        """Number of frames of the first `units` units."""
        return int(self.durations[:units].sum())

    def samples_of(self, units: int) -> int:
        """Number of samples of the first `units` units."""
        return round(self.frames_of(units) * self.sample_rate / self.frame_rate)


@dataclass(frozen=True, eq=False)
class Continuation:
    """Speech that continues a prompt, or begins from nothing."""

    speech: Speech
    """The continuation alone, or the prompt's resynthesis and the continuation."""
    prompt: Tensor
    """Units of the prompt, int64 (n,), on the CPU; empty without one."""
    units: Tensor
    """The new units, int64 (m,), on the CPU."""
    log_probs: Tensor
    """Natural log-probability of each new unit, float32 (m,)."""
    finished: bool
    """Whether the language model ended the utterance itself."""

    def __repr__(self) -> str:
        end = "ended" if self.finished else "not ended"
        return f"Continuation({len(self.prompt)} units continued by {len(self.units)}, {end}: {self.speech!r})"


@runtime_checkable
class Synthesizer(Protocol):
    """Units to speech."""

    operating_point: Any
    longest_segment: Any
    """Seconds of speech that it synthesises in one segment; longer speech is cut at pauses. A float."""

    @property
    def k(self) -> int:
        """Number of units."""
        ...

    @property
    def frame_rate(self) -> float:
        """Frames per second of the units that it speaks."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hz of the speech."""
        ...

    @property
    def speak(self) -> Callable[..., list[Speech]]:
        """Speak each of some sequences of units, in one batch, from `seed`; further options are its own."""
        ...


@runtime_checkable
class Codec(Protocol):
    """Speech to codes and back."""

    @property
    def sample_rate(self) -> int:
        """Hz of the speech."""
        ...

    @property
    def frame_rate(self) -> float:
        """Frames of codes per second."""
        ...

    @property
    def num_codes(self) -> int:
        """Size of each codebook."""
        ...

    @property
    def num_codebooks(self) -> int:
        """Codes of each frame."""
        ...

    def encode_wav(self, wav: Tensor, sr: int) -> Codes:
        """Encode a waveform (1, samples) at `sr` Hz."""
        ...

    def decode_codes(self, codes: Codes) -> Tensor:
        """Decode to a waveform (1, samples) at `sample_rate`."""
        ...


@runtime_checkable
class TextToSpeech(Protocol):
    """Text to speech in the voice of a prompt."""

    @property
    def sample_rate(self) -> int:
        """Hz of the speech."""
        ...

    @property
    def say(self) -> Callable[..., list[Speech]]:
        """Speak a text in the voice of a waveform (1, samples) at `sr` Hz, from `seed`; other options are its own."""
        ...


def options_of(synthesizer: Synthesizer) -> frozenset[str]:
    """Return the names of the options of `speak` beside the units and the seed."""
    return frozenset(inspect.signature(synthesizer.speak).parameters) - {"units", "seed"}


def greedy_options(synthesizer: Synthesizer | None) -> dict[str, Any]:
    """Return the options of `speak` with which nothing is drawn by lot."""
    return {"top_p": 0.0} if synthesizer is not None and "top_p" in options_of(synthesizer) else {}


def usual_new_units(ulm: UnitLanguageModel) -> int | None:
    """Return how many units to generate where no number is asked for; None leaves it to the model's own rule."""
    asked = inspect.signature(ulm.generate).parameters.get("max_new_units")
    return _USUAL_NEW_UNITS if asked is None or asked.default is inspect.Parameter.empty else None


def scores_first(ulm: UnitLanguageModel) -> bool:
    """Whether a model scores the first unit by default: all but those with `has_bos` False."""
    return bool(getattr(ulm, "has_bos", True))


def point_of(part: object) -> OperatingPoint | None:
    """The operating point that a part carries, if it does."""
    return getattr(part, "operating_point", None)

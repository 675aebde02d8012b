"""The verbs of the page: units, speech, continuation and likelihood of the recordings on the shelf."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dpdp import bits_per_second
from slmcore.errors import must
from slmcore.roles import options_of, scores_first
from slmcore.speech import Speech
from slmcore.units import Units
from slmzoo.pipeline import Pipeline
from slmzoo.web.limits import Limits
from slmzoo.web.shelf import Recording, Shelf
from slmzoo.web.systems import Systems, lambda_of

__all__ = ["Studio", "shown"]

_FEATURES_KEPT = 16
_MOST_SAMPLES = 8
_MOST_NEW_UNITS = 600


class Studio:
    """Recordings and systems together. Features are cached: units at another lambda cost only a search."""

    def __init__(self, systems: Systems, limits: Limits | None = None) -> None:
        self.systems, self.limits = systems, limits or Limits()
        self.shelf = Shelf(self.limits)
        self._features: OrderedDict[tuple[str, str], Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def units(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Units of a recording under a system at a k and a lambda, with their rates."""
        found, recording = self._units(asked), self._recording(asked)
        return {**shown(found), "recording": recording.id, "zoo": _zoo(asked)}

    def resynthesize(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Speech made from the units of a recording, `samples` of it."""
        recording, pipeline = self._recording(asked), self._pipeline(asked)
        wav, rate = recording.wav.to(pipeline.device), recording.sample_rate
        options = self._speaking(asked, pipeline)
        units = self._units(asked) if pipeline.quantizer is not None and pipeline.synthesizer is not None else None
        spoken = pipeline.resynthesize(
            wav, rate, _samples(asked), seed=_whole(asked, "seed", 0), units=units, **options
        )
        return {"sounds": [self._sound(each) for each in spoken], "notes": self._notes(asked, pipeline)}

    def continue_speech(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Continuations of the beginning of a recording, at the system's own k and lambda."""
        recording, pipeline = self._recording(asked), self._pipeline(asked)
        made = pipeline.continue_speech(
            recording.wav.to(pipeline.device),
            recording.sample_rate,
            _number(asked, "prompt_seconds", 3.0, 0, 600),
            num_samples=_samples(asked),
            seed=_whole(asked, "seed", 0),
            temperature=_number(asked, "temperature", 1.0, 0, 10),
            top_p=_number(asked, "top_p", 1.0, 0, 1),
            max_new_units=min(_whole(asked, "max_new_units", 150), _MOST_NEW_UNITS),
        )
        sounds = [
            {**self._sound(each.speech), "units": each.units.tolist(), "log_probs": each.log_probs.tolist()}
            for each in made
        ]
        return {"sounds": sounds, "prompt": made[0].prompt.tolist(), "notes": []}

    def likelihood(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Log-probability of each unit of a recording under the language model, at the system's own k and lambda."""
        pipeline = self._pipeline(asked)
        if pipeline.ulm is None:
            raise ValueError(f"The system {_zoo(asked)} has no language model here.")
        units = self._units({**asked, "k": None, "lmbda": None})
        (scored,) = pipeline.ulm.logprobs([units])
        values: list[float | None] = scored.tolist()
        if not scores_first(pipeline.ulm):
            values = [None, *values]
        total = float(scored.sum(dtype=torch.float64))
        return {**shown(units), "log_probs": values, "total": total, "mean": total / max(1, len(scored))}

    def _units(self, asked: Mapping[str, Any]) -> Units:
        zoo = _zoo(asked)
        k = None if asked.get("k") is None else _whole(asked, "k", 0)
        lmbda = None if asked.get("lmbda") is None else _number(asked, "lmbda", 0.0, 0, 1e38)
        quantizer = self.systems.quantizer(zoo, k, lmbda)
        found: Units = quantizer.segment(self._encoded(self._recording(asked), zoo))
        return Units(found.units.cpu(), found.durations.cpu(), found.frame_rate, found.operating_point)

    def _encoded(self, recording: Recording, zoo: str) -> Tensor:
        key = (recording.id, zoo)
        with self._lock:
            if key in self._features:
                self._features.move_to_end(key)
                return self._features[key]
        pipeline = self.systems.pipeline(zoo)
        made = pipeline.features(recording.wav.to(pipeline.device), recording.sample_rate)
        with self._lock:
            self._features[key] = made
            while len(self._features) > _FEATURES_KEPT:
                self._features.popitem(last=False)
        return made

    def _recording(self, asked: Mapping[str, Any]) -> Recording:
        return self.shelf.recording(_text(asked, "recording"))

    def _pipeline(self, asked: Mapping[str, Any]) -> Pipeline:
        return self.systems.pipeline(_zoo(asked))

    def _speaking(self, asked: Mapping[str, Any], pipeline: Pipeline) -> dict[str, Any]:
        """The options that the voice accepts."""
        has = options_of(pipeline.synthesizer) if pipeline.synthesizer is not None else frozenset()
        found: dict[str, Any] = {}
        if "temperature" in has:
            found["temperature"] = _number(asked, "temperature", 1.0, 0, 10)
        if "top_p" in has:
            found["top_p"] = _number(asked, "top_p", 0.8, 0, 1)
        if "keep_durations" in has:
            found["keep_durations"] = bool(asked.get("keep_durations", True))
        return found

    def _notes(self, asked: Mapping[str, Any], pipeline: Pipeline) -> list[str]:
        if pipeline.synthesizer is None:
            return ["This system is a codec: the speech is a copy through it."]
        lmbda, own = asked.get("lmbda"), lambda_of(pipeline.quantizer)
        if lmbda is None or own is None or float(lmbda) == own:
            return []
        return [f"The voice was trained on units at lambda {own:g}; these are at {float(lmbda):g}."]

    def _sound(self, speech: Speech) -> dict[str, Any]:
        return {
            "sound": self.shelf.add_sound(speech.wav, speech.sample_rate),
            "seconds": round(speech.seconds, 3),
            "finished": speech.finished,
        }


def shown(units: Units) -> dict[str, Any]:
    """Units as JSON, with their rates."""
    seconds = max(units.seconds, 1e-9)
    point = units.operating_point
    return {
        "units": units.units.tolist(),
        "durations": units.durations.tolist(),
        "frame_rate": units.frame_rate,
        "seconds": round(units.seconds, 3),
        "units_per_second": round(len(units) / seconds, 3),
        "bits_per_second": round(bits_per_second([units]), 3) if len(units) else 0.0,
        "k": getattr(point, "k", None),
        "lmbda": getattr(point, "lmbda", None),
    }


def _zoo(asked: Mapping[str, Any]) -> str:
    return _text(asked, "zoo")


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str):
        raise ValueError(must(name, "a text", value))
    return value


def _samples(asked: Mapping[str, Any]) -> int:
    return max(1, min(_whole(asked, "samples", 1), _MOST_SAMPLES))


def _whole(asked: Mapping[str, Any], name: str, default: int) -> int:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 31:
        raise ValueError(must(name, "a whole number >= 0", value))
    return value


def _number(asked: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError(must(name, f"a number from {least:g} to {most:g}", value))
    return float(value)

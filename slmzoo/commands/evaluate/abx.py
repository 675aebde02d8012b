"""`slmzoo eval abx`: ABX phone discriminability of features or units."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmzoo.commands.evaluate.on_units import OnUnits
from slmzoo.commands.options.unit_scores import AbxOptions
from slmzoo.evaluation.recordings import recordings_in
from slmzoo.evaluation.report.results import Problems
from slmzoo.evaluation.units.abx import read_items
from slmzoo.evaluation.units.scoring import AbxTask, evaluate_abx
from slmzoo.pipeline import Pipeline

__all__ = ["Abx"]


@dataclass(frozen=True, kw_only=True)
class Abx(AbxOptions, OnUnits):
    """ABX error rate within and across speakers on features of the encoder or on units."""

    def run(self) -> int:
        """Compare all triples."""
        if self.shards and self.on == "features":
            raise ValueError("Shards hold no features. Add --on units, or give the recordings.")
        if self.on == "units" and self.layer is not None:
            raise ValueError(must("layer", "left out where units are compared", self.layer, "Or add --on features."))
        items = read_items(self.item)
        material = self._units() if self.on == "units" else self._features({item.file for item in items})
        task = AbxTask(**{f.name: getattr(self, f.name) for f in fields(AbxTask)})
        found = evaluate_abx(
            material.frames,
            items,
            material.frame_rate,
            task,
            distance="angular" if self.on == "features" else "identical",
            speakers=self.speakers,
            there=material.there,
            problems=material.problems,
            bootstrap=self.bootstrap,
            check=partial(self.insist, "abx"),
        )
        conventions = {**found.conventions, **material.conventions, "on": self.on}
        return self.finish("abx", replace(found, conventions=conventions, models=material.models))

    def _units(self) -> _Frames:
        material = self.material()
        frames = {name: units.framewise() for name, units in material.units.items()}
        rate = next(iter(material.units.values())).frame_rate
        there = [*frames, *material.problems.get("unreadable", ())]
        return _Frames(frames, rate, there, material.problems, material.models, self.conventions(material.units))

    def _features(self, wanted: Collection[str]) -> _Frames:
        files, problems = recordings_in(self.data)
        pipeline = self.pipeline("quantizer", with_ulm=False, with_speech=False)
        layer = self._layer(pipeline)
        frames: dict[str, Tensor] = {}
        failed: list[str] = []
        for name in tqdm(sorted(files.keys() & set(wanted)), desc="features", unit="file", disable=None):
            try:
                frames[name] = pipeline.features(*audio.load(files[name]), layer).cpu()
            except (OSError, ValueError):
                failed.append(name)
        problems = {**problems, "unreadable": failed}
        conventions, models = {"zoo": self.zoo, "layer": layer}, self.models(pipeline.sources, "encoder")
        return _Frames(frames, pipeline.frame_rate, list(files), problems, models, conventions)

    def _layer(self, pipeline: Pipeline) -> int | None:
        if self.layer is None or pipeline.encoder is None:
            return pipeline.operating_point.layer if pipeline.operating_point else None
        highest = pipeline.encoder.num_layers
        if not 1 <= self.layer <= highest:
            raise ValueError(must("layer", f"a block number from 1 to {highest}", self.layer, "Leave it out."))
        return self.layer


@dataclass(frozen=True)
class _Frames:
    """Features or units of recordings, one row per frame."""

    frames: Mapping[str, Tensor]
    frame_rate: float
    there: Collection[str]
    """Recordings that were found, readable or not."""
    problems: Problems
    models: dict[str, Any]
    conventions: dict[str, Any]

"""`slmzoo eval units` and `abx`: what units cost, what they say of phones, and how well they tell phones apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmcore.units import Units
from slmzoo.commands.evaluate import Evaluation, Findings
from slmzoo.commands.options.evaluation import AbxOptions, OnUnitsOptions, UnitScoresOptions
from slmzoo.evaluation.likelihood.pairs import found_in, unique
from slmzoo.evaluation.report.results import Problems
from slmzoo.evaluation.units import abx
from slmzoo.evaluation.units.textgrid import Phone, phones
from slmzoo.evaluation.units.unit_scores import cost, discriminability, joined, phonetic
from slmzoo.evaluation.units.unit_store import described, units_in, units_of
from slmzoo.pipeline import Pipeline

__all__ = ["Abx", "OnUnits", "UnitScores", "alignments_in", "matched", "shown"]


@dataclass(frozen=True, kw_only=True)
class Material:
    """Units of recordings, and how they came about."""

    units: Mapping[str, Units]
    problems: Problems
    models: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OnUnits(OnUnitsOptions, Evaluation):
    """What evaluations of units share."""

    def material(self) -> Material:
        """The units of all recordings. Those without any are named as problems."""
        if self.shards:
            # Ids of shards are paths; recordings are known by their stems here.
            units, problems = unique((name.rpartition("/")[2], each) for name, each in units_in(self.data).items())
            return Material(units=_some(units, self.data), problems=problems, models={"units": described(self.data)})
        files, problems = found_in(self.data)
        pipeline = self.pipeline("quantizer", with_ulm=False, with_speech=False)
        models = self.models(pipeline.sources)
        units, failed = units_of(pipeline, files, self.out / "units", self.identity(pipeline, models))
        problems = {**problems, "unreadable": list(failed)}
        return Material(units=_some(units, self.data), problems=problems, models=models)

    def conventions(self, units: Mapping[str, Units]) -> dict[str, Any]:
        """Where the units lie, and what they were made of."""
        point = next(iter(units.values())).operating_point
        known = {name: getattr(point, name, None) for name in ("zoo", "k", "lmbda", "num_neighbors")}
        return {**known, "units": str(self.data) if self.shards else "of the audio", "deduplicated": True}


@dataclass(frozen=True, kw_only=True)
class UnitScores(UnitScoresOptions, OnUnits):
    """Bit rate, units per second and codebook use; with alignments purities, mutual information and boundaries."""

    def run(self) -> int:
        """Measure the units."""
        material = self.material()
        problems, units = dict(material.problems), dict(material.units)
        known: dict[str, list[Phone]] = {}
        if self.alignments is not None:
            known, unreadable = alignments_in(self.alignments, self.tier)
            problems |= {"unreadable alignments": unreadable, **matched("alignments", units, known)}
        self.insist("units", problems)
        conventions = self.conventions(units)
        found = [cost(units, self.bootstrap)]
        if self.alignments is not None:
            both = {name: each for name, each in units.items() if name in known}
            found.append(phonetic(both, known, self.bootstrap, self.tolerance))
            conventions |= {"tier": self.tier, "tolerance": self.tolerance, "silence": "a phone of its own"}
        scores, tables = joined(found)
        findings = Findings(
            scores=scores, tables=tables, conventions=conventions, models=material.models, problems=problems
        )
        return self.finish("units", findings)


@dataclass(frozen=True, kw_only=True)
class Abx(AbxOptions, OnUnits):
    """ABX error rate within and across speakers on features of the encoder or on units."""

    def run(self) -> int:
        """Compare all triples."""
        if self.shards and self.on == "features":
            raise ValueError("Shards hold no features. Add --on units, or give the recordings.")
        if self.on == "units" and self.layer is not None:
            raise ValueError(must("layer", "left out where units are compared", self.layer, "Or add --on features."))
        items = abx.read_items(self.item)
        material = self._units() if self.on == "units" else self._features({item.file for item in items})
        problems = {**material.problems, **matched("recordings", {item.file for item in items}, material.there)}
        items = [item for item in items if item.file in material.frames]
        pieces = abx.cut(material.frames, items, material.frame_rate) if items else []
        problems["too short"] = [shown(item) for item, piece in zip(items, pieces, strict=True) if not len(piece)]
        self.insist("abx", problems)
        pairs = [(item, piece) for item, piece in zip(items, pieces, strict=True) if len(piece)]
        task = {"context": self.context, "most": self.most, "most_speakers": self.most_speakers, "seed": self.seed}
        distance = "angular" if self.on == "features" else "identical"
        scores, tables = joined(
            discriminability(
                f"abx_{speaker}",
                [piece for _, piece in pairs],
                [item for item, _ in pairs],
                self.bootstrap,
                speaker=speaker,
                distance=distance,
                progress=lambda benches: tqdm(benches, desc="abx", disable=None),
                **task,
            )
            for speaker in self.speakers
        )
        conventions = {**task, **material.conventions, "on": self.on, "distance": distance, "resampled": "speakers"}
        findings = Findings(
            scores=scores, tables=tables, conventions=conventions, models=material.models, problems=problems
        )
        return self.finish("abx", findings)

    def _units(self) -> _Frames:
        material = self.material()
        frames = {name: units.framewise() for name, units in material.units.items()}
        rate = next(iter(material.units.values())).frame_rate
        there = [*frames, *material.problems.get("unreadable", ())]
        return _Frames(frames, rate, there, material.problems, material.models, self.conventions(material.units))

    def _features(self, wanted: Collection[str]) -> _Frames:
        files, problems = found_in(self.data)
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
    """Features or units of recordings, a row a frame."""

    frames: Mapping[str, Tensor]
    frame_rate: float
    there: Collection[str]
    """Recordings that were found, whether or not they could be read."""
    problems: Problems
    models: dict[str, Any]
    conventions: dict[str, Any]


def alignments_in(folder: Path, tier: str) -> tuple[dict[str, list[Phone]], list[str]]:
    """The phones of all TextGrids below a folder by their stem; and files that hold none, or whose stem is taken."""
    found: dict[str, list[Phone]] = {}
    failed: list[str] = []
    for path in sorted(folder.rglob("*.TextGrid")):
        try:
            if path.stem in found:
                raise ValueError(f"{path.stem} is there twice.")
            found[path.stem] = phones(path, tier)
        except (OSError, ValueError):
            failed.append(str(path.relative_to(folder)))
    return found, failed


def matched(what: str, wanted: Collection[str], there: Collection[str]) -> dict[str, list[str]]:
    """What is wanted and missing, and what is there though nobody wants it, as problems with `what`."""
    missing, extra = set(wanted) - set(there), set(there) - set(wanted)
    return {f"missing {what}": sorted(missing), f"extra {what}": sorted(extra)}


def _some(units: Mapping[str, Units], place: Path) -> Mapping[str, Units]:
    if not units:
        raise ValueError(f"{place} holds no recording that units could be made of.")
    return units


def shown(item: abx.Item) -> str:
    """An item as a problem names it."""
    return f"{item.file} {float(item.onset):g} {float(item.offset):g}"

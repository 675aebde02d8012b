"""Base of the evaluations of units of recordings or of shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slmcore.units import Units
from slmzoo.commands.evaluate.report import Evaluation
from slmzoo.commands.options.unit_scores import OnUnitsOptions
from slmzoo.evaluation.recordings import recordings_in, unique
from slmzoo.evaluation.report.provenance import identity
from slmzoo.evaluation.report.results import Problems
from slmzoo.evaluation.units.scoring import point_of_units
from slmzoo.evaluation.units.unit_store import described, units_in, units_of

__all__ = ["Material", "OnUnits"]


@dataclass(frozen=True, kw_only=True)
class Material:
    """Units of recordings, with problems and models."""

    units: Mapping[str, Units]
    problems: Problems
    models: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OnUnits(OnUnitsOptions, Evaluation):
    """Base of the evaluations of units."""

    def material(self) -> Material:
        """Return the units of all recordings; those without any are problems."""
        if self.shards:
            # Ids of shards are paths; recordings are known by their stems here.
            units, problems = unique((name.rpartition("/")[2], each) for name, each in units_in(self.data).items())
            return Material(units=_some(units, self.data), problems=problems, models={"units": described(self.data)})
        files, problems = recordings_in(self.data)
        pipeline = self.pipeline("quantizer", with_ulm=False, with_speech=False)
        models = self.models(pipeline.sources)
        units, failed = units_of(pipeline, files, self.out / "units", identity(pipeline, models))
        problems = {**problems, "unreadable": list(failed)}
        return Material(units=_some(units, self.data), problems=problems, models=models)

    def conventions(self, units: Mapping[str, Units]) -> dict[str, Any]:
        """Return the operating point of the units and their source."""
        return {**point_of_units(units), "units": str(self.data) if self.shards else "of the audio"}


def _some(units: Mapping[str, Units], place: Path) -> Mapping[str, Units]:
    if not units:
        raise ValueError(f"{place} holds no recording that units could be made of.")
    return units

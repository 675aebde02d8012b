"""`slmzoo eval units`: bit rate and phone information of units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from slmzoo.commands.evaluate.on_units import OnUnits
from slmzoo.commands.options.unit_scores import UnitScoresOptions
from slmzoo.evaluation.units.scoring import evaluate_units
from slmzoo.evaluation.units.textgrid import Phone, alignments_in

__all__ = ["UnitScores"]


@dataclass(frozen=True, kw_only=True)
class UnitScores(UnitScoresOptions, OnUnits):
    """Bit rate, units per second and codebook use; with alignments purities, mutual information and boundaries."""

    def run(self) -> int:
        """Measure the units."""
        material = self.material()
        problems = dict(material.problems)
        known: dict[str, list[Phone]] | None = None
        if self.alignments is not None:
            known, problems["unreadable alignments"] = alignments_in(self.alignments, self.tier)
        matching = {"tolerance": self.tolerance, "convention": self.convention}
        options = {**matching, "bootstrap": self.bootstrap, "check": partial(self.insist, "units")}
        found = evaluate_units(material.units, known, problems=problems, **options)
        more = {"tier": self.tier} if known is not None else {}
        conventions = {**self.conventions(material.units), **found.conventions, **more}
        return self.finish("units", replace(found, conventions=conventions, models=material.models))

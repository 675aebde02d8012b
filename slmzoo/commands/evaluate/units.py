"""`slmzoo eval units`: bit rate and phone information of units."""

from __future__ import annotations

from dataclasses import dataclass

from slmzoo.commands.evaluate.on_units import OnUnits
from slmzoo.commands.evaluate.report import Findings
from slmzoo.commands.options.evaluation import UnitScoresOptions
from slmzoo.evaluation.recordings import matched
from slmzoo.evaluation.units.textgrid import Phone, alignments_in
from slmzoo.evaluation.units.unit_scores import cost, joined, phonetic

__all__ = ["UnitScores"]


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

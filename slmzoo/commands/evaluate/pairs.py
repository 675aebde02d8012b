"""`slmzoo eval pairs`: any pairs of recordings."""

from __future__ import annotations

from dataclasses import dataclass

from slmcore.errors import must
from slmzoo.commands.evaluate.on_pairs import PairsEvaluation
from slmzoo.commands.options.pairs import (
    PairsOptions,
)
from slmzoo.evaluation.likelihood import layouts
from slmzoo.evaluation.likelihood.pairs import Benchmark

__all__ = ["Pairs"]


@dataclass(frozen=True, kw_only=True)
class Pairs(PairsOptions, PairsEvaluation):
    """Any pairs: a csv with the columns positive and negative, or folders in slamkit's layout."""

    def benchmark(self) -> Benchmark:
        """Read the pairs of `data`."""
        if self.data.is_dir():
            if self.by:
                raise ValueError(must("by", "left out for folders, which have no columns", self.by, "Or give a csv."))
            return layouts.slamkit(self.data)
        return layouts.csv_of_pairs(self.data, self.audio, self.by)

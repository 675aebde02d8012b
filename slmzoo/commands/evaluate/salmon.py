"""`slmzoo eval salmon`: consistent against inconsistent acoustics."""

from __future__ import annotations

from dataclasses import dataclass

from slmzoo.commands.evaluate.on_pairs import PairsEvaluation
from slmzoo.commands.options.pairs import (
    SalmonOptions,
)
from slmzoo.evaluation.likelihood import layouts
from slmzoo.evaluation.likelihood.pairs import Benchmark

__all__ = ["Salmon"]


@dataclass(frozen=True, kw_only=True)
class Salmon(SalmonOptions, PairsEvaluation):
    """SALMon: consistent acoustics against a change, and acoustics that fit the words; by task."""

    def benchmark(self) -> Benchmark:
        """Read the pairs of `data`."""
        return layouts.salmon(self.data)

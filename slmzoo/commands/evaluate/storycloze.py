"""`slmzoo eval storycloze`: right against wrong story endings."""

from __future__ import annotations

from dataclasses import dataclass

from slmzoo.commands.evaluate.on_pairs import PairsEvaluation
from slmzoo.commands.options.pairs import (
    StoryClozeOptions,
)
from slmzoo.evaluation.likelihood import layouts
from slmzoo.evaluation.likelihood.pairs import Benchmark

__all__ = ["StoryCloze"]


@dataclass(frozen=True, kw_only=True)
class StoryCloze(StoryClozeOptions, PairsEvaluation):
    """sStoryCloze or tStoryCloze: the right ending of a story against another."""

    def benchmark(self) -> Benchmark:
        """Read the pairs of `data`."""
        return layouts.storycloze(self.data)

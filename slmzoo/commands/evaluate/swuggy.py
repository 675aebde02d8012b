"""`slmzoo eval swuggy`: words against non-words."""

from __future__ import annotations

from dataclasses import dataclass

from slmzoo.commands.evaluate.zerospeech import ZeroSpeechEvaluation
from slmzoo.commands.options.pairs import (
    SwuggyOptions,
)
from slmzoo.evaluation.likelihood import layouts, zerospeech
from slmzoo.evaluation.likelihood.pairs import Benchmark

__all__ = ["Swuggy"]


@dataclass(frozen=True, kw_only=True)
class Swuggy(SwuggyOptions, ZeroSpeechEvaluation):
    """sWUGGY: words against non-words; by vocabulary, frequency and length."""

    task = "lexical"

    def benchmark(self) -> Benchmark:
        """Read the pairs of `data`."""
        if self.layout == "slamkit":
            return layouts.slamkit(self.data, "_", "swuggy")
        return zerospeech.swuggy(self.data, self.subset)

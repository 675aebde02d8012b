"""`slmzoo eval sblimp`: grammatical against ungrammatical sentences."""

from __future__ import annotations

from dataclasses import dataclass

from slmzoo.commands.evaluate.zerospeech import ZeroSpeechEvaluation
from slmzoo.commands.options.pairs import (
    SblimpOptions,
)
from slmzoo.evaluation.likelihood import layouts, zerospeech
from slmzoo.evaluation.likelihood.pairs import Benchmark

__all__ = ["Sblimp"]


@dataclass(frozen=True, kw_only=True)
class Sblimp(SblimpOptions, ZeroSpeechEvaluation):
    """sBLIMP: grammatical against ungrammatical sentences; by type."""

    task = "syntactic"

    def benchmark(self) -> Benchmark:
        """Read the pairs of `data`."""
        if self.layout == "slamkit":
            return layouts.slamkit(self.data, "+", "sblimp")
        return zerospeech.sblimp(self.data, self.subset)

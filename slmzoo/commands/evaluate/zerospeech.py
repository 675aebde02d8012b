"""Base of the two ZeroSpeech tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slmcore.errors import must
from slmzoo.commands.evaluate.on_pairs import PairsEvaluation
from slmzoo.commands.options.pairs import (
    ZeroSpeechOptions,
)
from slmzoo.evaluation.likelihood import zerospeech
from slmzoo.evaluation.report.results import Problems

__all__ = ["ZeroSpeechEvaluation"]


@dataclass(frozen=True, kw_only=True)
class ZeroSpeechEvaluation(ZeroSpeechOptions, PairsEvaluation):
    """Base of both ZeroSpeech tasks."""

    task = ""

    def keep(self, scores: Mapping[str, float], problems: Problems) -> None:
        """Write the submission, if requested. Raises ValueError if it would be incomplete."""
        if self.submission is not None:
            wrong = ", ".join(f"{len(names)} {kind}" for kind, names in problems.items() if names)
            if wrong:
                raise ValueError(must("submission", "of whole data", f"a set with {wrong}", "It was not written."))
            zerospeech.write_submission(self.submission, {(self.task, self.subset): scores})

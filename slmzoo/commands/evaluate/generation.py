"""`slmzoo eval generation`: continuations of the language model at several temperatures."""

from __future__ import annotations

from dataclasses import dataclass, fields

from slmzoo.commands.common import SynthesisCommand
from slmzoo.commands.evaluate.report import Evaluation
from slmzoo.commands.options.speech_scores import GenerationOptions
from slmzoo.evaluation.speech.generated import GenerationTask, evaluate_generation, prompts_in
from slmzoo.evaluation.speech.speech_scores import require
from slmzoo.evaluation.speech.textmodels import text_model

__all__ = ["Generation"]


@dataclass(frozen=True, kw_only=True)
class Generation(GenerationOptions, SynthesisCommand, Evaluation):
    """Perplexity, auto-BLEU, self-BLEU and VERT of the transcripts of generated speech, as in GSLM."""

    def run(self) -> int:
        """Generate, transcribe and score; packages and the text model are loaded before the pipeline."""
        task = GenerationTask(**{f.name: getattr(self, f.name) for f in fields(GenerationTask)})
        require(["wer"], self.asr)
        prompts, device = prompts_in(self.inputs), self.chosen_device()
        task.truths(prompts)  # refuses unknown prompts before any work
        options = {"score": text_model(self.text_model, device), "device": device, "bootstrap": self.bootstrap}
        pipeline = self.pipeline("quantizer", "language_model", "synthesizer")
        made_by = {"point": {"k": self.k, "lmbda": self.lmbda}, "models": self.models(pipeline.sources)}
        found = evaluate_generation(pipeline, task, self.out / "generated", prompts, **made_by, **options)
        return self.finish("generation", found)

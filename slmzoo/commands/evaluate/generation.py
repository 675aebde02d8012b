"""`slmzoo eval generation`: continuations of the language model at several temperatures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmcore.files.digests import write_atomically
from slmzoo.commands.common import DecodingCommand
from slmzoo.commands.evaluate.report import Evaluation
from slmzoo.commands.options.evaluation import GenerationOptions
from slmzoo.evaluation.report.findings import Findings
from slmzoo.evaluation.report.provenance import outside
from slmzoo.evaluation.speech.asr import hear
from slmzoo.evaluation.speech.generation import ORIGINAL, Utterance, evaluate
from slmzoo.evaluation.speech.speech_scores import require
from slmzoo.evaluation.speech.textmodels import text_model
from slmzoo.evaluation.speech.wer import CONVENTION, normalise
from slmzoo.pipeline import Pipeline

__all__ = ["Generation"]


@dataclass(frozen=True, kw_only=True)
class Generation(GenerationOptions, DecodingCommand, Evaluation):
    """Perplexity, auto-BLEU, self-BLEU and VERT of the transcripts of generated speech, as in GSLM."""

    def run(self) -> int:
        """Generate, listen, and score the texts."""
        if not self.temperatures or min(self.temperatures) < 0:
            raise ValueError(must("temperatures", "numbers >= 0", self.temperatures))
        require(["wer"], self.asr)
        prompts = self._prompts()
        model = text_model(self.text_model, self.chosen_device())
        pipeline = self.pipeline("quantizer", "language_model", "synthesizer")
        models = self.models(pipeline.sources)
        self._settle({"prompts": [str(path) for path in prompts], "models": models})
        wavs = list(self._generated(pipeline, prompts))
        wavs += [(ORIGINAL, path.stem, path) for path in prompts]
        heard = self._heard([path for _, _, path in wavs])
        made = zip(wavs, heard, strict=True)
        spoken = [Utterance(item=path.stem, prompt=of, temperature=at, text=text) for (at, of, path), text in made]
        scores, tables = evaluate(spoken, model, self.order, self.bootstrap)
        conventions = {
            "asr": self.asr,
            "text_model": self.text_model,
            "text": CONVENTION,
            "order": self.order,
            "prompt_seconds": self.prompt_seconds if prompts else None,
            "prompts": len(prompts),
            "num_samples": self.num_samples,
            "max_new_units": self.max_new_units,
            "seed": self.seed,
        }
        models |= {"asr": outside(self.asr), "text_model": outside(self.text_model)}
        findings = Findings(scores=scores, tables=tables, conventions=conventions, models=models)
        return self.finish("generation", findings)

    def _prompts(self) -> list[Path]:
        """The files of the prompts. Raises ValueError for two of one name, by which results tell them apart."""
        named: dict[str, Path] = {}
        for path in audio.find(self.inputs) if self.inputs else []:
            if path.stem in named:
                raise ValueError(
                    f"Prompts must differ in their names, but {named[path.stem]} and {path} do not. Rename one."
                )
            named[path.stem] = path
        return list(named.values())

    def _settle(self, about: dict[str, Any]) -> None:
        """Note how the wavs are made; a ValueError where there are wavs that were made otherwise."""
        names = ("num_samples", "prompt_seconds", "max_new_units", "seed", "k", "lmbda")
        text = json.dumps({**{name: getattr(self, name) for name in names}, **about}, indent=1) + "\n"
        path = self.out / "generated" / "settings.json"
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise ValueError(f"The wavs in {path.parent} were made otherwise. Give another --out, or remove them.")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)

    def _generated(self, pipeline: Pipeline, prompts: Sequence[Path]) -> Iterator[tuple[str, str, Path]]:
        """Temperature, prompt and wav of each utterance; makes those that are not there."""
        sources = list(prompts) or [None]
        for temperature in tqdm(self.temperatures, desc="temperatures", disable=None):
            folder = self.out / "generated" / f"{temperature:g}"
            folder.mkdir(parents=True, exist_ok=True)
            for index, source in enumerate(sources):
                stem = f"{index:04d}" if source is None else f"{index:04d}-{source.stem}"
                paths = [folder / f"{stem}-{i}.wav" for i in range(self.num_samples)]
                if not all(path.exists() for path in paths):
                    self._continue(pipeline, source, temperature, self.seed + index, paths)
                yield from ((f"{temperature:g}", source.stem if source else "", path) for path in paths)

    def _continue(
        self, pipeline: Pipeline, source: Path | None, temperature: float, seed: int, paths: Sequence[Path]
    ) -> None:
        wav, rate = audio.load(source) if source is not None else (None, None)
        made = pipeline.continue_speech(
            wav,
            rate,
            self.prompt_seconds,
            max_new_units=self.max_new_units,
            num_samples=self.num_samples,
            joined=False,
            temperature=temperature,
            seed=seed,
        )
        for path, one in zip(paths, made, strict=True):
            audio.write(path, one.speech.wav, one.speech.sample_rate)

    def _heard(self, paths: Sequence[Path]) -> list[str]:
        """Transcribe each wav; nothing for an empty one."""
        import soundfile

        lasting = [p for p in paths if (i := soundfile.info(p)).frames >= audio.SHORTEST_SECONDS * i.samplerate]
        texts = dict(zip(lasting, hear(lasting, self.asr, self.chosen_device()), strict=True))
        return [normalise(texts.get(path, "")) for path in paths]

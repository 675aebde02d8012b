"""Intelligibility and speed of the demo's speech.

`python -m slmzoo.recipes.demo.measure --data DIR --runs DIR` takes held-out sentences of ELLA-V's voice, and
compares the originals with reconstructions by the codec, with greedy resynthesis at lambda = 0 and at the demo's, and
with the demo's unit vocoder where it has one.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from simple_parsing import parse
from torch import Tensor
from tqdm import tqdm

from dpdp import DPDPQuantizer, bits_per_second
from slmcore import audio
from slmcore.files import registry
from slmcore.roles import Quantizer, Synthesizer
from slmcore.units import Units
from slmzoo import hub
from slmzoo.pipeline import Pipeline
from slmzoo.recipes.demo.asr import references, word_error_rate
from slmzoo.recipes.demo.common import write_report
from slmzoo.recipes.demo.corpus import REFERENCE

__all__ = ["main", "measure"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Reconstruct and resynthesise held-out sentences, and transcribe them."""

    data: Path
    """Folder of the corpus."""
    runs: Path
    """Folder of the speech and `speech.json`."""
    split: str = "plain"
    """Which sentences: plain or more (everyday ones, by hand) or test (of the training's grammar)."""
    sentences: int = 100
    """Largest number of sentences."""


@dataclass
class Made:
    """Output of one speech-to-speech system on the sentences."""

    units: list[Units] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    """Durations relative to the originals."""
    spent: float = 0.0
    """Seconds of computation."""
    heard: float = 0.0
    """Seconds of the originals."""

    def figures(self) -> dict[str, float]:
        """Bit rate where there are units, lengths, and the real-time factor."""
        rates = {}
        if self.units:
            units = sum(map(len, self.units)) / sum(u.seconds for u in self.units)
            rates = {"units_per_second": units, "bits_per_second": bits_per_second(self.units)}
        near = statistics.mean(abs(ratio - 1) <= 0.25 for ratio in self.ratios)
        return {**rates, "duration_within_25_percent": near, "real_time_factor": self.spent / self.heard}


Way = Callable[[Tensor, int], tuple[Tensor, int, Units | None]]


def ways(pipeline: Pipeline, vocoder: Synthesizer | None = None) -> dict[str, Way]:
    """Return the systems under test: from speech (1, samples) at a rate to speech, its rate, and its units.

    `vocoder` speaks the same units in their own durations, in place of the pipeline's synthesiser.
    """
    quantizer: Any = pipeline.quantizer
    frames = DPDPQuantizer(quantizer.codebook, 0.0)

    def copy(wav: Tensor, sr: int) -> tuple[Tensor, int, None]:
        speech = pipeline.copy(wav, sr)
        return speech.wav, speech.sample_rate, None

    def resynthesis(quantizer: Quantizer) -> Way:
        def way(wav: Tensor, sr: int) -> tuple[Tensor, int, Units]:
            units = quantizer.segment(pipeline.features(wav, sr))
            speech = pipeline.resynthesize(wav, sr, units=units, top_p=0)[0]
            return speech.wav, speech.sample_rate, units

        return way

    def spoken(wav: Tensor, sr: int) -> tuple[Tensor, int, Units]:
        units = pipeline.units(wav, sr)
        speech = cast("Synthesizer", vocoder).speak([units])[0]
        return speech.wav, speech.sample_rate, units

    found = {"copy": copy, "resynthesis, lambda 0": resynthesis(frames), "resynthesis": resynthesis(quantizer)}
    return found if vocoder is None else {**found, "unit vocoder": spoken}


def measure(
    pipeline: Pipeline, originals: Path, sentences: Mapping[str, str], out: Path, vocoder: Synthesizer | None = None
) -> dict[str, Any]:
    """Return the scores of each of the `ways`, word error rate among them; the speech is written to `out`."""
    found: dict[str, Any] = {"sentences": len(sentences), "original": word_error_rate(sentences, originals)}
    for name, way in ways(pipeline, vocoder).items():
        folder, made = out / name.replace(", lambda ", "-").replace(" ", "-"), Made()
        folder.mkdir(parents=True, exist_ok=True)
        for sentence in tqdm(sentences, desc=name):
            wav, sr = audio.load(originals / f"{sentence}.wav")
            began = time.perf_counter()
            speech, rate, units = way(wav, sr)
            made.spent += time.perf_counter() - began
            made.heard += wav.shape[1] / sr
            made.ratios.append(speech.shape[1] / rate / (wav.shape[1] / sr))
            made.units += [] if units is None else [units]
            audio.write(folder / f"{sentence}.wav", speech, rate)
        found[name] = {**word_error_rate(sentences, folder), **made.figures()}
    return found


def main() -> None:
    """Write and print the figures."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    options = parse(Options)
    sentences = references(options.data, options.split, options.sentences)
    originals = options.data / "wavs" / options.split / REFERENCE
    out = options.runs / f"speech-{options.split}"
    found = measure(hub.pipeline(zoo="demo"), originals, sentences, out, _vocoder())
    write_report(out / "speech.json", found)
    logging.getLogger(__name__).info((out / "speech.json").read_text(encoding="utf-8"))


def _vocoder() -> Synthesizer | None:
    """Load the demo's unit vocoder, if it has one."""
    if not any(row.kind == "unit_hifigan" for row in registry.rows("demo")):
        return None
    return hub.pipeline(zoo="demo", synthesizer="hifigan", with_ulm=False).synthesizer


if __name__ == "__main__":
    main()

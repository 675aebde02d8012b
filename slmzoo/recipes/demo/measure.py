"""What the demo can do on held-out sentences: `python -m slmzoo.recipes.demo.measure --data DIR --runs DIR`."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from simple_parsing import parse
from tqdm import tqdm

from slmcore import audio
from slmzoo import hub
from slmzoo.recipes.demo.asr import references, word_error_rate
from slmzoo.recipes.demo.common import write_report

__all__ = ["main"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Resynthesise held-out sentences of the voice that ELLA-V speaks with, and listen to them."""

    data: Path
    """Folder of the corpus."""
    runs: Path
    """Folder for the resyntheses and `resynthesis.json`."""
    split: str = "plain"
    """Which sentences: plain (everyday ones, by hand) or test (of the training's grammar)."""
    sentences: int = 50
    """Most sentences."""
    voice: str = "slt"
    """Which voice."""


def main() -> None:
    """Resynthesise greedily, and write the figures."""
    options = parse(Options)
    pipeline = hub.pipeline(zoo="demo")
    sentences = references(options.data, options.split, options.sentences)
    originals = options.data / "wavs" / options.split / options.voice
    made = options.runs / "resynthesis" / options.split
    made.mkdir(parents=True, exist_ok=True)
    ratios, rates = [], []
    for name in tqdm(sentences, desc="resynthesis"):
        wav, sr = audio.load(originals / f"{name}.wav")
        units = pipeline.units(wav, sr)
        speech = pipeline.resynthesize(wav, sr, top_p=0)[0]
        audio.write(made / f"{name}.wav", speech.wav, speech.sample_rate)
        ratios.append(speech.seconds / (wav.shape[1] / sr))
        rates.append(len(units) / units.seconds)
    figures = {
        "sentences": len(sentences),
        "units_per_second": statistics.mean(rates),
        "duration_ratio_median": statistics.median(ratios),
        "duration_within_25_percent": sum(abs(r - 1) <= 0.25 for r in ratios) / len(ratios),
        "wer_original": word_error_rate(sentences, originals)["wer"],
        "wer_resynthesis": word_error_rate(sentences, made)["wer"],
    }
    write_report(options.runs / f"resynthesis-{options.split}.json", figures)


if __name__ == "__main__":
    main()

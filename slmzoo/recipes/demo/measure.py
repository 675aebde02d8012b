"""Figures of the demo: `python -m slmzoo.recipes.demo.measure --data DIR --out DIR`.

Whisper tiny.en transcribes originals, codec reconstructions, and greedy resynthesis of held-out sentences: by natural
voices that are not in the training set, by the reference voice, by a person (prompts of Debian's package), and of a
folder of one's own. Units are compared across voices, words with non-words, and the language model with a trigram.
`figures.json` has each value with its 95 % interval.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from simple_parsing import parse
from torch import Tensor
from tqdm import tqdm

from dpdp import DPDPQuantizer, bits_per_second
from slmcore import audio
from slmcore.files import atomic
from slmcore.roles import Quantizer, Synthesizer, greedy_options
from slmcore.units import Units
from slmzoo import hub
from slmzoo.evaluation.likelihood.layouts import csv_of_pairs
from slmzoo.evaluation.likelihood.scoring import evaluate_pairs
from slmzoo.evaluation.report.results import Score
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.speech.scoring import SpeechMetrics, evaluate_speech
from slmzoo.pipeline import Pipeline
from slmzoo.recipes.demo import measure_language
from slmzoo.recipes.demo.common import write_report
from slmzoo.recipes.mini import benchmark
from slmzoo.recipes.speech.natural import REFERENCE, say
from slmzoo.recipes.speech.recorded import Recordings, prompts, recordings
from slmzoo.training.data.unit_files import UnitSource

__all__ = ["ORIGINAL", "Options", "held_out", "main", "same_sentence", "speech", "ways", "words"]

ORIGINAL = "original"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure the demo, or a zoo trained by its recipe."""

    data: Path
    """Folder of the corpus."""
    out: Path
    """Folder of the speech and `figures.json`."""
    zoo: str = "demo"
    """The zoo."""
    registry: str | None = None
    """Its file, if it is not a built-in one."""
    recordings: Path | None = None
    """Further recordings, with a `text.tsv` (name, tab, text)."""
    units: Path | None = None
    """Units of the corpus, for the trigram."""
    asr: str = "whisper"
    """Recogniser, as in `slmzoo eval speech`."""
    most: int | None = None
    """Largest number of recordings of each set."""


@dataclass
class Made:
    """Output of one speech-to-speech system on a set of recordings."""

    units: list[Units] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    """Durations relative to the originals."""
    spent: float = 0.0
    """Seconds of computation."""
    seconds_of_audio: float = 0.0
    """Seconds of the originals."""

    def figures(self) -> dict[str, float]:
        """Bit rate where there are units, lengths, and the real-time factor."""
        rates = {}
        if self.units:
            units = sum(map(len, self.units)) / sum(u.seconds for u in self.units)
            rates = {"units_per_second": units, "bits_per_second": bits_per_second(self.units)}
        near = statistics.mean(abs(ratio - 1) <= 0.25 for ratio in self.ratios)
        return {**rates, "duration_within_25_percent": near, "real_time_factor": self.spent / self.seconds_of_audio}


Way = Callable[[Tensor, int], tuple[Tensor, int, Units | None]]


def ways(pipeline: Pipeline, vocoder: Synthesizer | None = None) -> dict[str, Way]:
    """Return the systems under test: from speech (1, samples) at a rate to speech, its rate, and its units.

    `vocoder` speaks the same units in their own durations, in place of the pipeline's synthesiser.
    """
    quantizer: Any = pipeline.quantizer
    frames = DPDPQuantizer(quantizer.codebook, 0.0)
    greedy = greedy_options(pipeline.synthesizer)

    def original(wav: Tensor, sr: int) -> tuple[Tensor, int, None]:
        return wav, sr, None

    def copy(wav: Tensor, sr: int) -> tuple[Tensor, int, None]:
        made = pipeline.copy(wav, sr)
        return made.wav, made.sample_rate, None

    def resynthesis(quantizer: Quantizer) -> Way:
        def way(wav: Tensor, sr: int) -> tuple[Tensor, int, Units]:
            units = quantizer.segment(pipeline.features(wav, sr))
            made = pipeline.resynthesize(wav, sr, units=units, **greedy)[0]
            return made.wav, made.sample_rate, units

        return way

    def spoken(wav: Tensor, sr: int) -> tuple[Tensor, int, Units]:
        units = pipeline.units(wav, sr)
        made = cast("Synthesizer", vocoder).speak([units])[0]
        return made.wav, made.sample_rate, units

    systems = {ORIGINAL: original, "copy": copy, "resynthesis": resynthesis(quantizer)}
    systems["resynthesis, lambda 0"] = resynthesis(frames)
    return systems if vocoder is None else {**systems, "unit vocoder": spoken}


def speech(
    given: Recordings, systems: dict[str, Way], out: Path, asr: str, bootstrap: Bootstrap | None = None
) -> dict[str, dict[str, Any]]:
    """Return the error rates of words and characters of each of the `ways`, with its figures; speech goes to `out`."""
    texts = out / "text.tsv"
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(texts, "".join(f"{name}\t{text}\n" for name, (_, text) in given.items()).encode())
    figures: dict[str, dict[str, Any]] = {}
    for name, way in systems.items():
        folder = out / name.replace(", lambda ", "-").replace(" ", "-")
        results = _made(given, way, folder, name)
        scores = evaluate_speech(folder, SpeechMetrics(asr=asr), transcripts=texts, bootstrap=bootstrap).scores
        figures[name] = {score.metric: _with_interval(score) for score in scores}
        figures[name] |= {} if name == ORIGINAL else results.figures()
    return figures


def words(pipeline: Pipeline, folder: Path, bootstrap: Bootstrap) -> list[float | None]:
    """Return how often the language model finds a word likelier than a non-word, on the small benchmark."""
    mini = benchmark.make(folder)
    findings = evaluate_pairs(pipeline, csv_of_pairs(mini.lexical), bootstrap=bootstrap)
    return _with_interval(findings.scores[0])


def held_out(data: Path, split: str, reference: bool = False, most: int | None = None) -> Recordings:
    """Return the sentences of a split by the held-out voices, or by the reference voice."""
    rows = (data / "text" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
    texts = dict(row.split("\t", 1) for row in rows)
    files = audio.find([data / "wavs" / split])
    chosen = [file for file in files if (file.parent.name == REFERENCE) == reference][:most]
    return {file.stem: (file, texts[file.stem]) for file in chosen}


def main() -> None:
    """Write the figures."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    options, bootstrap = parse(Options), Bootstrap()
    pipeline = hub.pipeline(zoo=options.zoo, registry=options.registry)
    systems = ways(pipeline, _vocoder(options))
    figures: dict[str, Any] = {"files": _sizes(pipeline)}
    for name, given in _sets(options).items():
        folder = options.out / name.replace(" ", "-")
        figures[name] = speech(given, systems, folder, options.asr, bootstrap)
    figures["same sentence is nearer"] = {
        name: same_sentence(pipeline, pairs, bootstrap) for name, pairs in _pairs(options).items()
    }
    figures["words over non-words"] = words(pipeline, options.out / "mini", bootstrap)
    if options.units is not None:
        figures["language model"] = _language_model(pipeline, options.units)
    write_report(options.out / "figures.json", figures)
    logging.getLogger(__name__).info((options.out / "figures.json").read_text(encoding="utf-8"))


def _sets(options: Options) -> dict[str, Recordings]:
    most = options.most
    sets = {
        "natural voices": held_out(options.data, "test", most=most),
        "reference voice": held_out(options.data, "test", reference=True, most=most),
        "prompts": dict(list(prompts(options.out / "prompts" / "originals").items())[:most]),
    }
    return sets if options.recordings is None else {**sets, "recordings": recordings(options.recordings)}


def same_sentence(pipeline: Pipeline, pairs: Sequence[tuple[Path, Path]], bootstrap: Bootstrap) -> list[float | None]:
    """Return how often a sentence is nearer to itself by another voice than to another sentence, 0..1."""
    wanted = {f"sentence {i}-{turn}": file for i, pair in enumerate(pairs) for turn, file in enumerate(pair)}
    units = {name: pipeline.units(*audio.load(file)) for name, file in tqdm(wanted.items(), desc="units", disable=None)}
    return _with_interval(benchmark.evaluate_same_sentence(units, bootstrap, ("0", "1")).scores[0])


def _pairs(options: Options) -> dict[str, list[tuple[Path, Path]]]:
    """Return recordings of the same sentences: by two held-out voices, and by a person and the reference voice."""
    by_name = {name: file for name, (file, _) in held_out(options.data, "dev").items()}
    names = sorted({name.rpartition("-")[0] for name in by_name})[: options.most]
    persons = []
    for name, (file, text) in list(prompts(options.out / "prompts" / "originals").items())[: options.most]:
        other = options.out / "prompts" / "by-the-reference-voice" / f"{name}.wav"
        if not other.exists():
            say(text, other)
        persons.append((file, other))
    return {
        "held-out voices": [(by_name[f"{name}-0"], by_name[f"{name}-1"]) for name in names],
        "a person and the reference voice": persons,
    }


def _language_model(pipeline: Pipeline, units: Path) -> dict[str, float]:
    """Compare with n-grams of the same units."""
    model: Any = pipeline.ulm
    quantizer: Any = pipeline.quantizer
    splits = (list(UnitSource(units / split).read(quantizer.k)) for split in ("dev", "train"))
    return measure_language.measure(model, quantizer.k, *splits)


def _vocoder(options: Options) -> Synthesizer | None:
    """Load the zoo's unit vocoder, if it has one."""
    where: dict[str, Any] = {"zoo": options.zoo, "registry": options.registry}
    if not hub.Source(**where).variants("unit_hifigan"):
        return None
    return hub.pipeline(**where, synthesizer="hifigan", with_ulm=False).synthesizer


def _sizes(pipeline: Pipeline) -> dict[str, int]:
    """Return the bytes of the models' files."""
    return {kind: Path(row.url).stat().st_size for kind, row in pipeline.sources.items() if Path(row.url).exists()}


def _made(given: Recordings, way: Way, folder: Path, name: str) -> Made:
    """Run a system on all recordings, and write its speech."""
    folder.mkdir(parents=True, exist_ok=True)
    results = Made()
    for key, (file, _) in tqdm(given.items(), desc=name, disable=None):
        wav, sr = audio.load(file)
        began = time.perf_counter()
        output, rate, units = way(wav, sr)
        results.spent += time.perf_counter() - began
        results.seconds_of_audio += wav.shape[1] / sr
        results.ratios.append(output.shape[1] / rate / (wav.shape[1] / sr))
        results.units += [] if units is None else [units]
        audio.write(folder / f"{key}.wav", output, rate)
    return results


def _with_interval(score: Score) -> list[float | None]:
    return [score.interval.value, score.interval.low, score.interval.high]


if __name__ == "__main__":
    main()

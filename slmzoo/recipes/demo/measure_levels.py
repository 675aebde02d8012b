"""Content of a codec's first level, and intelligibility of reconstructions from its first levels.

`python -m slmzoo.recipes.demo.measure_levels --out DIR --models distilled=A.safetensors plain=B.safetensors` takes the
sentences of the small benchmark, with exact phone labels and not in the demo's training data. Needs flite and
pocketsphinx.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simple_parsing import parse
from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmcore.files.checkpoint import read
from slmcore.units import Codes, Units
from slmzoo.convert import published
from slmzoo.evaluation.report.results import Findings
from slmzoo.evaluation.speech.scoring import SpeechMetrics, evaluate_speech
from slmzoo.evaluation.units.abx import Item, read_items
from slmzoo.evaluation.units.scoring import AbxTask, evaluate_abx, evaluate_units
from slmzoo.evaluation.units.textgrid import phones
from slmzoo.recipes.demo.common import write_report
from slmzoo.recipes.mini import benchmark
from slmzoo.recipes.mini.benchmark import Mini
from slmzoo.systems import kinds

__all__ = ["Options", "content", "copies", "levels_of", "main", "measure"]

_PHONETIC = ("phone_purity", "pnmi")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Phone purity and ABX of a codec's first level, and word error rates of copies from its first levels."""

    out: Path
    """Folder for the benchmark, the copies and `levels.json`."""
    models: list[str]
    """Codecs with several levels as NAME=FILE, or files alone."""
    most: int | None = None
    """Most sentences of each kind; all if left out."""
    asr: str = "pocketsphinx"
    """Recogniser of the copies, as for `slmzoo eval speech`."""

    @property
    def named(self) -> dict[str, Path]:
        """Files by name."""
        pairs = [each.rpartition("=") for each in self.models]
        files = {name or Path(file).stem: Path(file) for name, _, file in pairs}
        if len(files) < len(pairs):
            raise ValueError(must("models", "files of different names, NAME=FILE", self.models))
        return files


def levels_of(codec: Any) -> tuple[int, ...]:
    """Return the numbers of levels that copies are made from: 1, 2, 4, ... and all."""
    most: int = codec.num_codebooks
    return tuple(sorted({most, *(2**i for i in range(most.bit_length()) if 2**i < most)}))


def content(codec: Any, codes: Mapping[str, Codes], mini: Mini) -> dict[str, Any]:
    """Phone purity and PNMI of the codes of level 1, and ABX error of their code vectors (any context)."""
    first = {name: each.codes[0] for name, each in codes.items()}
    units = {name: Units.from_framewise(each, codec.frame_rate) for name, each in first.items()}
    alignments = {name: phones(mini.sentences / f"{name}.TextGrid") for name in units}
    vectors = {name: codec.first_codebook.cpu()[each] for name, each in first.items()}
    scores = _scores(evaluate_units(units, alignments))
    return {name: scores[name] for name in _PHONETIC} | _abx(vectors, read_items(mini.phones), codec.frame_rate)


def _abx(vectors: Mapping[str, Tensor], items: Sequence[Item], frame_rate: float) -> dict[str, Any]:
    return _scores(evaluate_abx(vectors, items, frame_rate, AbxTask(context="any")))


def copies(codec: Any, codes: Mapping[str, Codes], mini: Mini, out: Path, asr: str) -> dict[str, Any]:
    """Word error rate of the everyday sentences: the originals, and copies from the first levels, by their number."""
    names = [line.split("\t")[0] for line in mini.transcripts.read_text(encoding="utf-8").splitlines()]
    errors: dict[str, Any] = {}
    for levels in (0, *levels_of(codec)):
        folder = out / (f"levels-{levels}" if levels else "original")
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            wav, rate = audio.load(mini.sentences / f"{name}.wav")
            if levels:
                wav, rate = codec.decode_codes(codes[name].levels(levels)), codec.sample_rate
            audio.write(folder / f"{name}.wav", wav, rate)
        findings = evaluate_speech(folder, SpeechMetrics(asr=asr), transcripts=mini.transcripts)
        errors[str(levels) if levels else "original"] = _scores(findings)["wer"]
    return errors


def measure(codec: Any, mini: Mini, out: Path, asr: str = "pocketsphinx") -> dict[str, Any]:
    """Return the figures of `content` as `level_1` and those of `copies` as `wer`; the copies are written to `out`."""
    codes = {}
    for path in tqdm(sorted(mini.sentences.glob("*.wav")), desc=out.name, disable=None):
        codes[path.stem] = codec.encode_wav(*audio.load(path))
    return {"level_1": content(codec, codes, mini), "wer": copies(codec, codes, mini, out, asr)}


def _scores(findings: Findings) -> dict[str, Any]:
    """Value, and the ends of the 95 % interval, of each score."""
    return {s.metric: [s.interval.value, s.interval.low, s.interval.high] for s in findings.scores}


def _loaded(path: Path) -> Any:
    kind = kinds()[read(path, None, published).kind]
    model = kind.load(path)
    if not hasattr(model, "first_codebook"):
        raise ValueError(must("models", "codecs of several levels", f"{path}, a {kind.name}"))
    return model


def main() -> None:
    """Write and print the figures."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    options = parse(Options)
    models = {name: _loaded(path) for name, path in options.named.items()}
    mini = benchmark.make(options.out / "data", options.most)
    figures = {name: measure(model, mini, options.out / name, options.asr) for name, model in models.items()}
    write_report(options.out / "levels.json", figures)
    logging.getLogger(__name__).info((options.out / "levels.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

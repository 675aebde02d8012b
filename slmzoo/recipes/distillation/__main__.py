"""Is distillation needed for diffusion on a codec's latents?

`python -m slmzoo.recipes.distillation --runs DIR` synthesises a corpus, trains one codec in four arms with several
seeds, measures all of them on held-out sentences, and writes report.md and figure.png. Interrupted runs resume.
Arms: A no distillation, B level 1 of one quantiser, C level 1 of a split quantiser (Mimi), D the latents themselves.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from slmcore.errors import must
from slmcore.files import atomic
from slmzoo.arguments import OptionsParser, flag
from slmzoo.recipes.distillation import corpus as speech
from slmzoo.recipes.distillation.arms import ARMS, Size, trained
from slmzoo.recipes.distillation.measures import Values, measure
from slmzoo.recipes.distillation.report import write

__all__ = ["Options", "main", "run"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train and compare codecs with and without distillation. The defaults take some core-hours for all arms."""

    title: ClassVar[str] = "experiment"

    runs: Path
    """Folder of the corpus, the runs, their measures and the report."""
    arms: tuple[str, ...] = tuple(ARMS)
    """Arms to run."""
    seeds: tuple[int, ...] = (0, 1)
    """Seeds of each arm."""
    steps: int = 4000
    """Training steps of each codec."""
    batch: int = 4
    """Segments per step."""
    crop: int = 32_000
    """Samples per segment, 16 kHz."""
    training_sentences: int = 800
    """Sentences to train on, by four voices in turn."""
    held_out_sentences: int = 40
    """Sentences to measure on, each by two voices."""
    denoiser_steps: int = 1000
    """Training steps of each denoiser."""
    n_filters: int = 8
    """Channels of a codec's first convolution."""
    wer: bool = flag(True)
    """Recognise the copies with pocketsphinx."""

    def __post_init__(self) -> None:
        unknown = set(self.arms) - set(ARMS)
        if unknown or not self.arms:
            raise ValueError(must("arms", f"of {', '.join(ARMS)}", self.arms))
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(must("seeds", "different numbers", self.seeds))
        for name in ("steps", "batch", "training_sentences", "held_out_sentences", "denoiser_steps"):
            if getattr(self, name) < 1:
                raise ValueError(must(name, "a whole number >= 1", getattr(self, name)))

    @property
    def size(self) -> dict[str, Any]:
        """Size of the run, as the report states it."""
        return {name: value for name, value in asdict(self).items() if name not in ("runs", "arms")}


def run(options: Options) -> str:
    """Run the missing parts of the experiment, and return the report."""
    corpus = speech.make(options.runs / "speech", options.training_sentences, options.held_out_sentences, seed=7)
    held_out = options.runs / "speech" / "held-out"
    measured: dict[str, list[dict[str, Values]]] = {}
    for arm in options.arms:
        for seed in options.seeds:
            measured.setdefault(arm, []).append(_of_arm(arm, seed, options, corpus, held_out))
    return write(options.runs, measured, options.size)


def _of_arm(arm: str, seed: int, options: Options, corpus: speech.Corpus, held_out: Path) -> dict[str, Values]:
    """Measures of an arm, from its file if they were taken with these options."""
    about = replace(options, runs=Path(), arms=(arm,), seeds=(seed,)).size
    file = options.runs / "measures" / f"{arm}-{seed}.json"
    if file.exists():
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["size"] == json.loads(json.dumps(about)):
            return {name: Values(**values) for name, values in content["measures"].items()}
    logger.info("arm %s, seed %d", arm, seed)
    size = Size(steps=options.steps, batch=options.batch, crop=options.crop, n_filters=options.n_filters)
    codec = trained(arm, seed, size, options.runs / "speech" / "train", held_out, options.runs)
    measures = measure(codec, corpus, options.runs / f"copies-{arm}-{seed}", options.denoiser_steps, options.wer)
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = {"size": about, "measures": {name: asdict(values) for name, values in measures.items()}}
    atomic.write_bytes(file, json.dumps(kept).encode())
    return measures


def main() -> None:
    """Run the experiment and show its report."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    parser = OptionsParser(Options, "python -m slmzoo.recipes.distillation")
    logger.info(run(parser.parse_args(sys.argv[1:]).options))


if __name__ == "__main__":
    main()

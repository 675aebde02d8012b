"""The demo from scratch: `python -m slmzoo.recipes.demo --data DIR --runs DIR [--only STAGE ...]`.

The corpus is synthesised, then the models are trained one after another by the functions of `slmzoo train`, and written
to the package. An interrupted stage resumes.

The shipped weights were trained in parts. Encoder: the first iteration by a loop that these functions replaced, with
the same settings on 700 of the sentences; the second by these functions, before the corpus had a wide vocabulary; the
third, like codebook and codec, by these functions. The codes are numbered like the codes of the previous codebook that
they match most often, so that language model and ELLA-V could start from weights trained on its units: 7,000 steps on
all sentences and words, then 3,000 without the wide vocabulary; 8,000 steps on all sentences of its voice. The codec
first had 512 codes, distilled without whitening, and 15,000 steps of its decoder; then its latents were whitened by the
encoder's last layer and the decoder's first one, clustered into 2,048 codes, and the decoder was trained for 18,000
more steps. ELLA-V was trained on these for 12,000 steps, each code starting from the nearest of the 512. A new run
gives other weights.
"""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from pathlib import Path

from simple_parsing import parse

from slmzoo.recipes.demo.corpus import synthesise

STAGES = ("corpus", "encoder", "codebook", "codec", "ulm", "ellav", "vocoder", "speechtokenizer", "soundstream")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Synthesise the demo's corpus and train its models."""

    data: Path
    """Folder of the corpus and its units."""
    runs: Path
    """Folder for checkpoints, logs and reports."""
    only: tuple[str, ...] = STAGES
    """Stages to run, in this order; each depends on those before."""

    def __post_init__(self) -> None:
        unknown = set(self.only) - set(STAGES)
        if unknown:
            raise SystemExit(f"There is no stage {', '.join(sorted(unknown))}. Stages: {', '.join(STAGES)}.")


def main() -> None:
    """Run the stages."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    options = parse(Options)
    options.runs.mkdir(parents=True, exist_ok=True)
    for stage in STAGES:
        if stage == "corpus" in options.only:
            synthesise(options.data)
        elif stage in options.only:
            importlib.import_module(f"slmzoo.recipes.demo.{stage}").make(options.data, options.runs)


if __name__ == "__main__":
    main()

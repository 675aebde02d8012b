"""The demo from scratch: `python -m slmzoo.recipes.demo --data DIR --runs DIR [--only STAGE ...]`.

The corpus is synthesised, then the models are trained one after another by the functions of `slmzoo train`, and written
to the package. An interrupted stage resumes.

The weights that are shipped came about in parts: the encoder's first iteration by a loop that these functions replaced,
with the same settings on 700 of the sentences; its second one by these functions, before the corpus had a wide
vocabulary; its third, the codebook and the codec by these functions. The codes are numbered as those of the codebook
before that they most often stand for, so that language model and ELLA-V could start from weights trained on its units:
7,000 steps on all sentences and words, then 3,000 without the wide vocabulary; 8,000 steps on all sentences of its
voice. The codec was first one of 512 codes, taught without whitening and its decoder trained for 15,000 steps; then its
latents were whitened, by the encoder's last layer and the decoder's first one, 2,048 codes made of them, and the
decoder trained for 18,000 steps more. ELLA-V started on these from its weights for the 512, each code from that of the
nearest one, for 12,000 steps. A new run gives other weights.
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

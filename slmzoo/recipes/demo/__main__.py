"""The demo from scratch: `python -m slmzoo.recipes.demo --data DIR --runs DIR [--only STAGE ...]`; resumable.

The corpus is synthesised with natural voices, then the models are trained one after another by the functions of
`slmzoo train`, each a row of `RUNS/zoo.json`, and written to the package in half precision.
"""

from __future__ import annotations

import argparse
import importlib
import logging
from pathlib import Path

__all__ = ["STAGES", "main"]

STAGES = (
    "corpus", "encoder", "codebook", "units", "codec", "ulm", "ellav", "vocoder", "speechtokenizer", "soundstream",
    "ship",
)  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Run the stages in their order."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    parser = argparse.ArgumentParser(prog="python -m slmzoo.recipes.demo", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--runs", type=Path, required=True, help="folder of checkpoints, units and the trained zoo")
    parser.add_argument("--only", nargs="+", choices=STAGES, default=STAGES, help="stages to run; all by default")
    args = parser.parse_args(argv)
    args.runs.mkdir(parents=True, exist_ok=True)
    for stage in STAGES:
        if stage in args.only:
            importlib.import_module(f"slmzoo.recipes.demo.{stage}").make(args.data, args.runs)


if __name__ == "__main__":
    main()

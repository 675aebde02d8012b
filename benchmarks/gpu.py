"""All rows of the GPU table: `python benchmarks/gpu.py`, in at most six minutes on a machine with one card.

Each row runs in a process of its own for its share of the time and what those before it left of theirs, and is written
to `results/<subject>-gpu.json` as soon as it ends: a slow or broken one does not affect the others. `--only WORDS`
measures the rows whose names contain them; `--quick` rehearses all on a CPU with small sizes and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import common
from benchmarks.gpu_rows import ROWS


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORDS", help="rows whose names contain these words")
    parser.add_argument("--quick", action="store_true", help="a rehearsal on a CPU, nothing is written")
    parser.add_argument("--row", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.row:
        name, file = options.row
        Path(file).write_text(json.dumps(ROWS[name].measure(options.quick)))
        return 0
    failed, until = 0, time.monotonic()
    for name, row in ROWS.items():
        if options.only.lower() not in name.lower():
            continue
        until += row.seconds
        found = measured(name, options.quick, until - time.monotonic())
        failed += "error" in found
        print(f"{name}: {json.dumps(found)}", flush=True)
        if not options.quick:
            common.write(row.subject, {**common.written(row.subject), name: found})
    return int(failed > 0)


def measured(name: str, quick: bool, seconds: float) -> dict[str, Any]:
    """Result of a row in a process of its own, or the last line of its error, which is printed in full."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "row.json"
        command = [sys.executable, __file__, "--row", name, str(file), *(["--quick"] if quick else [])]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=os.environ, check=False)
        except subprocess.TimeoutExpired:
            return {"error": f"stopped after its {seconds:.3g} s"}
        if done.returncode:
            print(f"{name}:\n{done.stderr}", file=sys.stderr, flush=True)
            return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
        return {**json.loads(file.read_text()), "seconds_in_all": round(time.monotonic() - began, 1)}


if __name__ == "__main__":
    sys.exit(main())

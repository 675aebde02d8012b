"""Commands next to a busy program on the same two cores, against the same commands alone.

`python benchmarks/shared_cores.py`. Whole processes with the demo zoo, from their start to their exit. Both
conditions are interleaved, so that a drift of the machine's speed affects both. Also the CPU time before a command
begins to compute.
`--quick` is a rehearsal of one run each that writes nothing. Linux only; the machine must otherwise be idle.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import write

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples" / "sample.wav"
CORES = 2
MOST = 2.2
"""Limit on a command's time, relative to its time alone."""
COMMANDS = {
    "units": ["units", str(SAMPLE)],
    "score": ["score", str(SAMPLE)],
    "resynth": ["resynth", str(SAMPLE), "--out", "out"],
    "continue": ["continue", str(SAMPLE), "--out", "out"],
}
# Run in a process of its own: CPU time of the imports alone, and from there to the first call of the encoder.
START = """
import time
import torch, torchaudio
imported = time.process_time()
from slmzoo import cli
from wavlm_codebooks import WavLM

class Begun(BaseException):
    pass

def begin(*_arguments, **_more):
    raise Begun

WavLM.forward = begin
try:
    cli.main(["units", {sample!r}, "--zoo", "demo"])
except Begun:
    print(imported, time.process_time() - imported)
"""


def environment() -> dict[str, str]:
    """The caller's environment without settings of threads, as by default."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    return {**kept, "PYTHONPATH": str(ROOT)}


@contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """Run a program that never waits on the same cores within the context, if `wanted`."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        yield
    finally:
        process.kill()
        process.wait()


def seconds(arguments: list[str], beside: bool) -> float:
    """Wall-clock seconds of one command, from its start to its exit."""
    command = [sys.executable, "-m", "slmzoo", *arguments, "--zoo", "demo"]
    with tempfile.TemporaryDirectory() as folder, busy(beside):
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, env=environment(), check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def compare(arguments: list[str], runs: int) -> dict[str, Any]:
    """Median seconds quiet and busy, their ratio, and all runs."""
    taken: dict[str, list[float]] = {"quiet": [], "busy": []}
    for _ in range(runs):
        taken["quiet"].append(seconds(arguments, beside=False))
        taken["busy"].append(seconds(arguments, beside=True))
    medians = {f"{name}_s": statistics.median(values) for name, values in taken.items()}
    ratio = medians["busy_s"] / medians["quiet_s"]
    return {**medians, "ratio": ratio, "within_limit": ratio <= MOST, "runs_s": taken}


def start_up(runs: int) -> dict[str, float]:
    """Median CPU seconds of `import torch, torchaudio`, and from there until `units` begins to compute."""
    code = START.format(sample=str(SAMPLE))
    times: list[tuple[float, float]] = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(), check=True, capture_output=True, text=True
        )
        imports, rest = map(float, done.stdout.split())
        times.append((imports, rest))
    imports, rest = (statistics.median(values) for values in zip(*times, strict=True))
    return {"import_torch_torchaudio_cpu_s": imports, "from_there_to_first_frame_cpu_s": rest}


def run(runs: int) -> dict[str, Any]:
    """All rows, on the first two cores that this process may use."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    load = os.getloadavg()[0]
    seconds(COMMANDS["resynth"], beside=False)  # files come from the disk once
    commands = {name: compare(arguments, runs) for name, arguments in COMMANDS.items()}
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load_before": load,
        "most_times_quiet": MOST,
        "commands": commands,
        "start_up_of_units": start_up(runs),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one run each; write nothing")
    if parser.parse_args().quick:
        print(json.dumps(run(1), indent=1))
    else:
        write("shared_cores", run(7))

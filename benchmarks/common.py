"""Shared parts of the benchmarks: interleaved timing, a description of the machine, and the files of results."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def interleaved(
    cases: dict[str, Callable[[], object]],
    runs: int = 7,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each case. Cases are interleaved, so that a drift of the machine's speed affects all of them.

    `clock`: `time.process_time` counts CPU time only, for one thread on a shared machine.
    """
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(warm_up + runs):
        for name, case in cases.items():
            seconds = timed(case, clock)
            if turn >= warm_up:
                taken[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def timed(case: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call by a clock, the device's work included."""
    wait()
    began = clock()
    case()
    wait()
    return clock() - began


def wait() -> None:
    """Wait until the device is idle."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def machine() -> dict[str, Any]:
    """Return a description of the machine that the figures are measured on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def written(subject: str) -> dict[str, Any]:
    """Return the last results that `write` wrote on this machine, without its description; nothing of another one."""
    path = _path(subject)
    earlier: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return earlier if earlier.pop("machine", None) == machine() else {}


def _path(subject: str) -> Path:
    return RESULTS / f"{subject}-{'gpu' if torch.cuda.is_available() else 'cpu'}.json"


def write(subject: str, results: dict[str, Any]) -> Path:
    """Results with the machine as `results/<subject>-<cpu or gpu>.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = _path(subject)
    path.write_text(json.dumps({**results, "machine": machine()}, indent=1) + "\n")
    print(path.read_text())
    return path

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dpdp import DPDPQuantizer, objective
from tests.reference.dpdp_brute import optimum

HALF_AN_HOUR = 90_000

# Peak memory beyond torch and numba, which alone take two thirds of a gigabyte, and beyond the features.
PEAK = """
import resource, torch
from pathlib import Path
from dpdp import DPDPQuantizer

def peak():
    # On Linux getrusage also counts what the parent had when it started this process; VmHWM does not.
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
    return found[0] if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

quantizer = DPDPQuantizer(torch.randn(500, {width}), 2.0 * {width})
quantizer.segment(torch.randn(2000, {width}))  # numba is loaded for many frames only
features = torch.randn({frames}, {width})
before = peak()
units = quantizer.segment(features)
assert int(units.durations.sum()) == {frames}
print(peak() - before)
"""


def speech_like(frames: int, k: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    codebook = torch.randn(k, width, generator=generator)
    held = torch.randint(k, (frames // 5,), generator=generator).repeat_interleave(5)
    return codebook[held] + 0.8 * torch.randn(frames, width, generator=generator) + 3, codebook + 3


def check_against_float64(k: int, width: int, lmbda: float) -> None:
    features, codebook = speech_like(HALF_AN_HOUR, k, width)
    units = DPDPQuantizer(codebook, lmbda)(features)[1]
    distances = np.concatenate([torch.cdist(x.double(), codebook.double()).square() for x in features.split(10_000)])
    best = optimum(distances, lmbda)
    value = objective(torch.from_numpy(distances), units, lmbda)
    repeats = int((units[1:] == units[:-1]).sum())
    scale = value + 2 * lmbda * repeats  # the sum of the distances plus lambda x repeats
    assert 0 <= value - best + 1e-9 * scale <= 1e-5 * scale


def test_half_an_hour_stays_at_the_float64_optimum() -> None:
    check_against_float64(k=40, width=16, lmbda=10.0)


@pytest.mark.slow
def test_half_an_hour_at_full_size() -> None:
    check_against_float64(k=500, width=256, lmbda=150.0)


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
@pytest.mark.parametrize("width", [32, pytest.param(1024, marks=pytest.mark.slow)])
def test_half_an_hour_in_bounded_memory(width: int) -> None:
    code = PEAK.format(frames=HALF_AN_HOUR, width=width)
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    # With 1024-wide features, which take 369 MB themselves, this is far below a gigabyte.
    assert int(done.stdout) < 100e6

"""The table of GPU rows, rehearsed on a CPU: every row measures what it says, and none holds up the others."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import gpu
from benchmarks.gpu_rows import ROWS

SLOW = ("WavLM", "batch 64", "1 x 1000", "scoring", "training", "units to speech")
NAMES = [pytest.param(name, marks=[pytest.mark.slow] if any(part in name for part in SLOW) else []) for name in ROWS]


def numbers(found: Any) -> list[float]:
    if isinstance(found, dict):
        return [number for value in found.values() for number in numbers(value)]
    return [found]


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_rehearsed(name: str) -> None:
    found = ROWS[name].measure(True)
    assert len(numbers(found)) >= 2
    assert all(number > 0 for number in numbers(found) if not isinstance(number, bool))


def test_all_rows_end_within_six_minutes() -> None:
    assert sum(row.seconds for row in ROWS.values()) <= 360


def test_a_row_that_takes_too_long_is_stopped() -> None:
    assert gpu.measured("ELLA-V, batch 1", True, 0.2) == {"error": "stopped after its 0.2 s"}


def test_a_row_gets_what_those_before_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    monkeypatch.setattr(gpu, "measured", lambda name, quick, seconds: limits.append(seconds) or {})
    gpu.main(["--quick", "--only", "DPDP"])
    shares = [row.seconds for name, row in ROWS.items() if "DPDP" in name]
    assert limits == pytest.approx([shares[0], sum(shares)], abs=0.5)


def test_rows_are_chosen_by_name_and_a_broken_one_is_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        gpu, "measured", lambda name, quick, seconds: {"error": "out of memory"} if "64" in name else {}
    )
    assert gpu.main(["--quick", "--only", "dpdp, 1"]) == 0
    assert gpu.main(["--quick", "--only", "DPDP"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["DPDP, 1 x 1000: {}", 'DPDP, 64 x 1500: {"error": "out of memory"}', "DPDP, 1 x 1000: {}"]

"""Commands begin to compute soon after torch is there: nothing heavy is imported that the work does not need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "sample.wav"
HEAVY = {
    "torch._dynamo", "torch._inductor", "torch.onnx", "torch.fx.experimental.symbolic_shapes", "torch.distributed.fsdp",
    "sympy", "triton", "numba", "scipy", "sklearn", "pandas", "pyarrow", "fsspec", "matplotlib", "transformers",
    "datasets", "huggingface_hub", "requests", "ray", "lightning", "lightning.pytorch", "pytorch_lightning", "jiwer",
    "pocketsphinx", "hypothesis", "IPython",
}  # fmt: skip
SECONDS = 1.5
"""CPU time from torch and torchaudio to the first frame."""
# The command runs in a process of its own, which tells what had been imported and used up when it began to compute.
CODE = """
import json, sys, time
import torch, torchaudio
here = time.process_time()
from slmzoo import cli
from wavlm_codebooks import WavLM

started = []
def timed(forward):
    def run(*arguments, **more):
        if not started:
            started.extend([time.process_time() - here, sorted(sys.modules)])
        return forward(*arguments, **more)
    return run

WavLM.forward = timed(WavLM.forward)
status = cli.main(sys.argv[1:])
print(json.dumps({"status": status, "seconds": started[0], "start": started[1], "end": sorted(sys.modules)}))
"""


def run(*arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["status"] == 0, done.stderr
    return report


@pytest.fixture(scope="module", params=["units", "score", "continue"])
def command(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("out")
    more = ["--out", str(out), "--max-new-units", "3"] if request.param == "continue" else []
    return run(request.param, str(SAMPLE), "--zoo", "demo", "--jsonl", str(out / "lines.jsonl"), *more)


def test_computing_begins_soon_after_torch_is_there(command: dict) -> None:
    assert command["seconds"] < SECONDS


def test_nothing_is_imported_that_speech_to_units_and_back_does_not_need(command: dict) -> None:
    assert not HEAVY & set(command["end"])


def test_the_picture_of_a_resynthesis_comes_when_it_is_drawn(tmp_path: Path) -> None:
    lines = str(tmp_path / "lines.jsonl")
    report = run("resynth", str(SAMPLE), "--zoo", "demo", "--out", str(tmp_path), "--jsonl", lines)
    assert report["seconds"] < SECONDS
    assert not HEAVY & set(report["start"])
    assert HEAVY & set(report["end"]) == {"matplotlib"}

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dpdp import DPDPQuantizer, naive
from dpdp.viterbi import CpuSearch, end_to_end
from slmcore.layers.fast import switch
from tests.reference.dpdp_brute import limited
from tests.reference.dpdp_paths import search

pytest.importorskip("triton")
ROOT = Path(__file__).parents[2]


def problem(k: int, lengths: list[int], n: int, size: int, lmbdas: list[float], kind: str) -> dict[str, Any]:
    rng = np.random.default_rng(k)
    shape = sum(lengths), k
    costs = {
        "whole": lambda: rng.integers(0, 4, shape),
        "real": lambda: rng.standard_normal(shape) * 100,
        "zeros": lambda: np.where(rng.random(shape) < 0.5, 0.0, -0.0),
        "wide": lambda: rng.standard_normal(shape) * 10.0 ** rng.integers(-40, 37, shape),
    }[kind]()
    costs = torch.from_numpy(costs.astype(np.float32))
    return {"costs": costs, "lengths": lengths, "n": n, "size": size, "lmbdas": lmbdas}


PROBLEMS = {
    "one frame, one code": problem(1, [1], 1, 9, [0.0, 1.0], "real"),
    "ties": problem(3, [12], 3, 99, [0.0, 1.0, 2.0, 50.0], "whole"),
    "ragged": problem(7, [1, 5, 2], 7, 99, [0.0, 60.0], "real"),
    "over blocks": problem(9, [2, 9, 1, 4], 9, 3, [0.0, 60.0, 1e9], "real"),
    "neighbours and their ties": problem(10, [14], 4, 6, [0.0, 1.0, 3.0], "whole"),
    "one neighbour": problem(16, [6, 3], 1, 99, [0.0, 9.0], "real"),
    "all but one": problem(17, [8], 16, 99, [1.0], "whole"),
    "0 and -0": problem(5, [7], 2, 99, [0.0, 1.0], "zeros"),
    "all scales": problem(8, [10], 3, 99, [0.0, 1.0, 1e30], "wide"),
}


def run_kernels(folder: Path, device: str, **environment: str) -> dict[str, torch.Tensor]:
    torch.save(list(PROBLEMS.values()), folder / "problems.pt")
    command = [sys.executable, "-m", "tests.reference.dpdp_interpreted"]
    done = subprocess.run(
        [*command, str(folder / "problems.pt"), str(folder / "found.pt"), device],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(PROBLEMS, torch.load(folder / "found.pt", weights_only=True), strict=True))


def check(name: str, found: torch.Tensor) -> None:
    given = PROBLEMS[name]
    expected = search(CpuSearch, given["costs"], given["lengths"], given["lmbdas"], given["n"], 1000)
    assert found.tolist() == expected.tolist()
    if name in ("ties", "neighbours and their ties", "all but one", "0 and -0"):
        allowed = torch.from_numpy(limited(given["costs"].numpy(), given["n"]))
        assert found.tolist() == [naive(allowed, lmbda).tolist() for lmbda in given["lmbdas"]]


@pytest.fixture(scope="module", params=["0", "rehearse"])
def interpreted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    environment = {"TRITON_INTERPRET": "1", switch.VARIABLE: request.param}
    return run_kernels(tmp_path_factory.mktemp("kernel"), "cpu", **environment)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_kernel_equals_the_cpu_to_the_bit(name: str, interpreted: dict[str, torch.Tensor]) -> None:
    check(name, interpreted[name])


COMPILE = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from dpdp import kernel
pointers = dict(costs="*fp32", lmbdas="*fp32", bounds="*i64", lead_in="*fp32", start_in="*i32", lead_out="*fp32",
                start_out="*i32", best="*i32", since="*i32", units="*i64", WIDTH="constexpr", NARROW="constexpr",
                SPARE="constexpr")
for function in (kernel._advance, kernel._backtrack, kernel._limit):
    signature = {name: pointers.get(name, "i32") for name in function.arg_names}
    for capability in (70, 90):
        for narrow in (False, True):
            constants = {"WIDTH": 512, "NARROW": narrow, "SPARE": 22}
            constants = {name: constants[name] for name in signature if name in constants}
            source = ASTSource(fn=function, signature=signature, constexprs=constants)
            compile(source, target=GPUTarget("cuda", capability, 32))
"""


@pytest.mark.slow
def test_the_kernels_compile_without_a_gpu() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("mode", ["0", "rehearse"])
def test_utterances_that_lie_end_to_end_are_not_copied(mode: switch.Mode) -> None:
    batch = torch.randn(3, 5, 4)
    with switch.using(mode):
        joined = end_to_end(list(batch[1:]))
        assert (joined.data_ptr() == batch[1].data_ptr()) is (mode == "rehearse")
        assert torch.equal(joined, batch[1:].flatten(0, 1))
        for apart in ([batch[0], batch[2]], [batch[0, :4], batch[1]], [batch[1], batch[0]], list(batch.mT), [batch[0]]):
            assert torch.equal(end_to_end(apart), torch.cat(apart))
        # A transposed column is a contiguous row whose stride is not its width.
        rows = torch.arange(6.0).view(2, 3, 1).mT.unbind()
        assert torch.equal(end_to_end(rows), torch.arange(6.0).view(2, 3))
        wide = torch.randn(2, 5, 8)[..., :4]
        assert torch.equal(end_to_end(list(wide)), wide.flatten(0, 1))


@pytest.mark.gpu
class TestOnGpu:
    @pytest.mark.parametrize("mode", ["0", "1"])
    def test_the_kernel_equals_the_cpu_to_the_bit(self, tmp_path: Path, mode: str) -> None:
        for name, found in run_kernels(tmp_path, "cuda", **{switch.VARIABLE: mode}).items():
            check(name, found)

    @pytest.mark.parametrize("mode", ["0", "1"])
    @pytest.mark.parametrize("k", [3, 500, 1000, 2000])
    @pytest.mark.parametrize("n", [None, 3])
    def test_features_to_units(self, k: int, n: int | None, mode: switch.Mode) -> None:
        generator = torch.Generator().manual_seed(0)
        codebook = torch.randn(k, 64, generator=generator)
        features = torch.randn(4, 300, 64, generator=generator)
        lengths = [300, 1, 77, 299]
        quantizer = DPDPQuantizer(codebook, 30.0, n)
        expected = quantizer.segment(features, lengths)
        with switch.using(mode):
            found = quantizer.cuda().segment(features.cuda(), lengths)
        agree = [
            float((a.framewise() == b.framewise().cpu()).float().mean()) for a, b in zip(expected, found, strict=True)
        ]
        assert min(agree) > 0.99 and all(x.units.is_cuda for x in found)

    def test_nothing_waits_for_the_device(self) -> None:
        from dpdp.blocks import blocks
        from dpdp.kernel import GpuSearch

        costs = torch.rand(100, 50, device="cuda")
        GpuSearch(50, [1.0], [60, 40], costs.device).advance(costs, next(blocks([60, 40], 100)))
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            run = GpuSearch(50, [1.0], [60, 40], costs.device)
            run.limit(costs, 5)
            run.advance(costs, next(blocks([60, 40], 100)))
            run.units()
        finally:
            torch.cuda.set_sync_debug_mode("default")

    def test_a_large_batch_fits_beside_an_encoder(self) -> None:
        features = [torch.randn(1500, 1024, device="cuda") for _ in range(64)]
        quantizer = DPDPQuantizer(torch.randn(2000, 1024), 2000.0, 100).cuda()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        quantizer.segment(features)
        assert torch.cuda.max_memory_allocated() - before < 4e9

    def test_nan_raises(self) -> None:
        features = torch.randn(50, 8, device="cuda")
        features[7] = torch.nan
        with pytest.raises(ValueError, match="NaN"):
            DPDPQuantizer(torch.randn(5, 8), 1.0).cuda().segment(features)
        with pytest.raises(ValueError, match="codebook's device"):
            DPDPQuantizer(torch.randn(5, 8), 1.0).segment(features)

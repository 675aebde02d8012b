from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from slmcore.layers.fast import switch

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("mode", "cpu", "cuda"), [("0", False, False), ("1", False, True), ("rehearse", True, True)])
def test_where_the_fast_path_is_on(mode: switch.Mode, cpu: bool, cuda: bool) -> None:
    with switch.using(mode):
        assert (switch.on(CPU), switch.on(CUDA)) == (cpu, cuda)
        assert not switch.infers(CUDA)  # with gradients
        with torch.no_grad():
            assert (switch.infers(CPU), switch.infers(CUDA)) == (cpu, cuda)
    with switch.using("rehearse"):
        with pytest.raises(ZeroDivisionError), switch.using(mode):
            1 / 0  # noqa: B018
        assert switch.on(CPU)


@pytest.mark.parametrize(
    ("value", "found"), [("", "False"), ("0", "False"), ("1", "True"), ("fast", "must be one of 0, 1")]
)
def test_the_environment_sets_it(value: str, found: str) -> None:
    code = "import torch; from slmcore.layers.fast import switch; print(switch.on(torch.device('cuda')))"
    environment = {**os.environ, switch.VARIABLE: value}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert found in done.stdout + done.stderr


def test_kernels_leave_double_precision_and_cpus_alone() -> None:
    assert not switch.kernels_run(torch.zeros(1, dtype=torch.float64))
    assert switch.kernels_run(torch.zeros(1)) is switch.interpreted

"""Several devices: each process does the same exchanges, whatever its share of the held-out data is."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import pytest
import torch

from slmzoo.commands.train import Training
from slmzoo.training.loop.module import Module
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import generator
from tests.reference.tiny_task import Line, settings
from tests.reference.units_on_disk import K, write_files


class Exchange:
    """Processes as threads: an exchange that not all of them enter breaks after a minute."""

    def __init__(self, size: int) -> None:
        self.size, self.barrier = size, Barrier(size, timeout=60)
        self.given: list[object] = [None] * size

    def all_of(self, rank: int, value: object) -> list:
        self.given[rank] = value
        self.barrier.wait()
        found = list(self.given)
        self.barrier.wait()
        return found

    def trainer(self, rank: int) -> SimpleNamespace:
        def reduce(x: torch.Tensor, reduce_op: str) -> torch.Tensor:
            everyone = torch.stack(self.all_of(rank, x))
            return {"sum": everyone.sum, "max": everyone.max, "mean": everyone.mean}[reduce_op]()

        strategy = SimpleNamespace(
            reduce=reduce,
            broadcast=lambda value: self.all_of(rank, value)[0],
            batch_to_device=lambda batch, device: batch,
        )
        precision = SimpleNamespace(val_step_context=nullcontext)
        return SimpleNamespace(global_rank=rank, world_size=self.size, strategy=strategy, precision_plugin=precision)


def on_all(size: int, make, use) -> list:
    """What `use` of each of `size` processes' modules gives."""
    exchange, modules = Exchange(size), [make() for _ in range(size)]
    for rank, module in enumerate(modules):
        module._trainer = exchange.trainer(rank)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(use, modules))


def made(folder: Path) -> Module:
    chosen = settings(folder / "run")
    return Module(Line(chosen), chosen, Run(chosen.run))


@pytest.mark.parametrize("batches", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [2, 3])
def test_a_process_without_held_out_batches_measures_what_one_process_does(tmp_path, size, batches):
    held_out = [Line(settings(tmp_path)).batch(generator(99, n)) for n in range(batches)]
    task = Line(settings(tmp_path / "run")).eval()
    with torch.no_grad():
        alone = sum(float((task.model(x) - y).square().sum()) for x, y in held_out) / sum(len(y) for _, y in held_out)
    found = on_all(size, lambda: made(tmp_path), lambda module: module._measure(held_out))
    assert len(found) == size
    assert all(figures == {"error": pytest.approx(alone, rel=1e-6)} for figures in found)


def test_sums_over_processes_keep_every_count(tmp_path):
    """Beyond 2 ** 24 a float32 no longer counts by one."""
    found = on_all(2, lambda: made(tmp_path), lambda module: module._summed({"frames": 2.0**24 + 1}))
    assert found == [{"frames": 2.0**25 + 2}] * 2


@pytest.mark.parametrize("wrong", [0, 1])
def test_what_is_wrong_on_one_device_stops_all(tmp_path, wrong):
    def stopped(module: Module) -> str:
        bad = module.trainer.global_rank == wrong
        module._wrong = torch.tensor(5 if bad else -1)
        try:
            module._stop_if_wrong()
        except FloatingPointError as error:
            return str(error)
        return ""

    found = on_all(2, lambda: made(tmp_path), stopped)
    assert all("not finite at step 5." in message for message in found)


def test_one_process_of_several_tells_the_result(capsys, monkeypatch):
    training = Training(settings=2, train=lambda steps: [{"step": step + 1} for step in range(steps)])
    assert training.run() == 0
    assert [json.loads(line)["step"] for line in capsys.readouterr().out.splitlines()] == [1, 2]
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert training.run() == 0
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_the_command_on_two_devices_with_one_held_out_batch(tmp_path):
    write_files(tmp_path / "train")
    write_files(tmp_path / "dev", chapters=1, seed=5)
    sizes = "--dim 16 --n-layers 1 --head-dim 8 --hidden-dim 32 --n-heads 2 --n-kv-heads 1 --dropout 0"
    steps = "--steps 4 --batch 4 --accumulate 2 --chunk 32 --warmup 1 --log-every 1 --validate-every 2 --device cpu"
    lines = {}
    for devices in ("1", "2"):
        where = ["--run", str(tmp_path / devices), "--train", str(tmp_path / "train")]
        where += ["--validation", str(tmp_path / "dev"), "-k", str(K), "--lmbda", "4", "--devices", devices]
        words = [sys.executable, "-m", "slmzoo", "train", "ulm", *where, *sizes.split(), *steps.split()]
        root = str(Path(__file__).parents[4])
        environment = {**os.environ, "PYTHONPATH": root}
        done = subprocess.run(words, capture_output=True, check=False, timeout=300, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr.decode()
        lines[devices] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines["1"]) == len(lines["2"]) == 1
    one, two = lines["1"][0], lines["2"][0]
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-4)
    assert {**one, "loss": 0, "bits_per_unit": 0, "bits_per_second": 0}.keys() == two.keys()
    assert one["step"] == two["step"]
    tables = [list(csv.DictReader((tmp_path / devices / "validation.csv").open())) for devices in ("1", "2")]
    assert [row["step"] for row in tables[0]] == [row["step"] for row in tables[1]] == ["2", "4"]

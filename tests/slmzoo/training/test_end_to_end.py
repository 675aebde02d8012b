"""From a folder of speech to a zoo of one's own, in miniature: every command of training, then the shop window."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from slmcore import audio
from slmzoo import cli

ROOT = Path(__file__).parents[3]
TRANSFORMER = "--dim 16 --n-layers 1 --head-dim 8 --hidden-dim 32 --n-heads 2 --n-kv-heads 2"
ENCODER = (
    "--dim 16 --ffn-dim 32 --heads 2 --layers 2 --conv-pos 8 --conv-pos-groups 2 --conv-layers 16,128,20 16,8,4 16,8,4"
)
CODEC = (
    "--sample-rate 16000 --strides 4 4 5 5 --n-filters 4 --dimension 8 --codebook-size 16 --decoder-dim 32"
    " --decoder-intermediate 32 --decoder-layers 1 --n-fft 1600 --crop 8000 --start-crops 16 --quantize-from 2"
)
SHORT = "--device cpu --zoo lab --log-every 1 --batch 2 --warmup 1"


def speech(folder: Path, count: int, seed: int) -> Path:
    """Syllables of a second and a half: harmonics of a gliding pitch through three vowels, and noise between them."""
    draw = np.random.default_rng(seed)
    (folder / "book").mkdir(parents=True)
    for number in range(count):
        parts = []
        for _ in range(6):
            time = np.arange(int(draw.uniform(0.15, 0.25) * 16000)) / 16000
            pitch = draw.uniform(90, 140) * (1 + 0.3 * time)
            formants = ((700, 1200), (300, 2200), (350, 800))[draw.integers(3)]
            voiced = sum(
                np.sin(2 * np.pi * pitch * h * time) * sum(np.exp(-(((110 * h - f) / 150) ** 2)) for f in formants)
                for h in range(1, 25)
            )
            parts += [0.2 * voiced, 0.05 * draw.standard_normal(1200)]
        wav = torch.from_numpy(np.concatenate(parts).astype(np.float32))[None]
        audio.write(folder / "book" / f"{number:02d}.wav", wav / wav.abs().max() * 0.5, 16000)
    return folder


@pytest.mark.slow
def test_from_a_folder_of_speech_to_a_zoo_of_ones_own(tmp_path, capsys, monkeypatch):
    """15 seconds of one core."""
    learnt, held_out = speech(tmp_path / "speech" / "train", 8, 1), speech(tmp_path / "speech" / "dev", 2, 2)
    registry = tmp_path / "zoo" / "zoo.json"

    def run(command: str, **named: object) -> dict:
        words = command.split()
        for name, value in named.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        assert cli.main(words) == 0, capsys.readouterr().err
        lines = capsys.readouterr().out.strip().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def train(name: str, how: str, **named: object) -> dict:
        return run(f"train {name} {how}", run=tmp_path / "runs" / name, registry=registry, **named)

    train("encoder", f"{SHORT} {ENCODER} --steps 3 --clusters 8 --crop 40 --name wavlm_lab", audio=learnt)
    how = "--device cpu --zoo lab --encoder-zoo lab --layer 1 --k 10 --num-neighbors 10 --iterations 20"
    how += " --frame-fraction 1"
    point = train("codebook", how, audio=learnt, rate=15)
    at = {"k": point["k"], "lmbda": point["lmbda"]}
    assert at["k"] == 10
    for split, folder in (("train", learnt), ("dev", held_out)):
        where = f"units {folder} --device cpu --zoo lab --workers 1"
        made = run(where, registry=registry, out=tmp_path / "units" / split, **at)
        assert made["num_neighbors"] == point["num_neighbors"] == 10
        assert 5 < made["units_per_second"] < 30
    units = {"train": tmp_path / "units" / "train", "validation": tmp_path / "units" / "dev"}
    ulm = train("ulm", f"{SHORT} {TRANSFORMER} --steps 4 --accumulate 1 --chunk 16", **units)
    assert ulm["bits_per_second"] > 0
    train(
        "codec",
        f"{SHORT} {CODEC} --steps 4 --samples 1 --discriminator-from 3 --discriminator-width 2",
        audio=learnt,
        validation=held_out,
    )
    recordings = {"train_speech": learnt, "validation_speech": held_out}
    train("ellav", f"{SHORT} {TRANSFORMER} --steps 4 --accumulate 1 --workers 0 --codec lab", **units, **recordings)

    kinds = {row["kind"] for row in json.loads(registry.read_text())["rows"]}
    assert kinds == {"wavlm", "codebook", "ulm", "ellav", "wavtokenizer"}
    wav, sr = audio.load(held_out / "book" / "00.wav")
    pipeline = torch.hub.load(str(ROOT), "pipeline", source="local", **at, zoo="lab", registry=str(registry))
    spoken = pipeline.units(wav, sr)
    assert pipeline.loglikelihood(spoken) < 0
    made = pipeline.resynthesize(wav, sr)[0]
    assert made.sample_rate == 16000
    # The zoo is like the others: the table knows it, and every loader takes the point.
    monkeypatch.setenv("SLMZOO_REGISTRY", str(registry))
    for entry in ("ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k", "ellav_units_to_wavtokenizer"):
        torch.hub.load(str(ROOT), entry, source="local", **at, zoo="lab")
    assert cli.main(["list", "--zoo", "lab"]) == 0
    assert "ulm-k10" in capsys.readouterr().out
    assert cli.main(["fetch", "10", str(at["lmbda"]), "--zoo", "lab"]) == 0
    assert cli.main(["verify", "--zoo", "lab"]) == 0
    assert cli.main(["score", str(held_out), "--zoo", "lab", "--device", "cpu"]) == 0
    scores = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "loglikelihood" in line]
    assert [score["k"] for score in scores] == [10, 10]

"""`slmzoo list`."""

from __future__ import annotations

import json

import pytest
import torch

from slmzoo.cli import main

pytestmark = pytest.mark.usefixtures("tiny_zoo")


def test_list(capsys, registry, terminal, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    assert main(["list", "--registry", str(registry)]) == 0
    out = capsys.readouterr().out
    assert "mistral-ulm-k-500-lmbda-4500-hours-60k-steps-200k" in out
    lines = [line for line in out.splitlines() if line.startswith("tiny")]
    assert len(lines) == 5
    assert [line.split()[5] for line in lines] == ["own"] * 5
    assert [line.split()[5] for line in out.splitlines() if line.startswith("demo")] == ["shipped"] * 6
    published = {line.split()[1]: line.split() for line in out.splitlines() if line.startswith("dp-slm")}
    assert published["wavlm"][5:7] == ["absent", "~1.26GB"]
    assert published["wavtokenizer"][5:7] == ["absent", "-"]
    assert main(["list", "--zoo", "tiny"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_list_as_jsonl(tmp_path):
    assert main(["list", "--jsonl", str(tmp_path / "l")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "l").read_text().splitlines()]
    assert {
        "zoo",
        "kind",
        "variant",
        "k",
        "lmbda",
        "state",
        "size",
        "file",
        "sha256",
        "licence",
        "origin",
        "url",
    } == set(rows[0])

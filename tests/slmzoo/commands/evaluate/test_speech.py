from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import jiwer
import pytest
import torch

from slmcore import audio
from slmzoo.cli import main
from slmzoo.evaluation.speech import intelligibility, pitch, scoring
from slmzoo.evaluation.speech.asr import hear
from slmzoo.evaluation.speech.speech_scores import transcripts


@pytest.fixture
def data(tmp_path: Path, speech) -> Path:
    """Two recordings, noisy copies of them, and what is said."""
    wav, sr = speech
    noise = torch.Generator().manual_seed(0)
    for folder in ("originals", "made"):
        (tmp_path / folder).mkdir()
    for i in range(2):
        clip = wav[:, i * sr // 2 :][:, : sr * 3 // 2]
        audio.write(tmp_path / "originals" / f"r{i}.wav", clip, sr)
        audio.write(tmp_path / "made" / f"r{i}.wav", clip + 0.005 * torch.randn(clip.shape, generator=noise), sr)
    (tmp_path / "said.tsv").write_text("r0\tThe cat sat.\nr1\tNo, it did not!\n")
    return tmp_path


def run(*arguments: object) -> int:
    return main(["eval", "speech", *map(str, arguments), "--resamples", "50"])


def result(folder: Path) -> tuple[dict, dict[str, dict]]:
    content = json.loads((folder / "speech.json").read_text())
    return content, {score["metric"]: score for score in content["scores"]}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_words_and_characters(data):
    assert run(data / "made", "--transcripts", data / "said.tsv", "--out", data / "out") == 0
    content, scores = result(data / "out")
    hypotheses = hear([data / "made" / f"r{i}.wav" for i in range(2)])
    references = ["the cat sat", "no it did not"]
    assert scores["wer"]["value"] == pytest.approx(jiwer.wer(references, hypotheses))
    assert scores["cer"]["value"] == pytest.approx(jiwer.cer(references, hypotheses))
    assert [row["said"] for row in rows(data / "out" / "speech.wer.csv")] == references
    assert content["conventions"]["asr"] == "pocketsphinx"
    assert "pocketsphinx" in content["versions"]


@pytest.mark.parametrize(
    ("metric", "package", "remedy"),
    [
        ("stoi", "pystoi", "slmzoo[eval]"),
        ("pesq", "pesq", "pip install pesq"),
        ("similarity", "transformers", "slmzoo[transformers]"),
        ("f0", "jiwer", "slmzoo[eval]"),
        ("f0", "pocketsphinx", "slmzoo[eval]"),
    ],
)
def test_a_package_that_one_metric_needs_is_missed_before_any_recording_is_heard(
    data, capsys, monkeypatch, metric, package, remedy
):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(scoring, "hear", lambda *args: pytest.fail("recordings were heard"))
    monkeypatch.setattr(scoring, "recordings_in", lambda *args: pytest.fail("recordings were looked for"))
    given = ("--transcripts", data / "said.tsv", "--originals", data / "originals")
    assert run(data / "made", *given, "--metrics", "wer", metric, "--out", data / "out") == 1
    err = capsys.readouterr().err
    assert f"needs the package {package}" in err
    assert remedy in err


def test_a_byte_order_mark_is_no_part_of_the_first_id(data):
    text = "\ufeff" + (data / "said.tsv").read_text()
    (data / "said.tsv").write_text(text, encoding="utf-8")
    assert transcripts(data / "said.tsv")[0] == {"r0": "the cat sat", "r1": "no it did not"}


def test_beside_the_originals(data):
    arguments = ("--originals", data / "originals", "--metrics", "stoi", "f0", "--out", data / "out")
    assert run(data / "made", *arguments) == 0
    _, scores = result(data / "out")
    pairs = [[audio.load(data / folder / f"r{i}.wav")[0] for folder in ("originals", "made")] for i in range(2)]
    stoi = [intelligibility.stoi(original, made, 16000) for original, made in pairs]
    f0 = [pitch.correlation(*(pitch.f0(wav, 16000) for wav in pair)) for pair in pairs]
    assert scores["stoi"]["value"] == pytest.approx(sum(stoi) / 2)
    assert scores["f0"]["value"] == pytest.approx(sum(f0) / 2)
    assert [float(row["value"]) for row in rows(data / "out" / "speech.stoi.csv")] == pytest.approx(stoi)


def test_what_is_wrong_is_named_and_scored_only_if_asked(data, capsys):
    (data / "made" / "r1.wav").write_bytes(b"")
    audio.write(data / "made" / "more.wav", torch.rand(1, 16000), 16000)
    (data / "said.tsv").open("a").write("r2 gone\nr0 twice\nr3\n")
    arguments = (data / "made", "--transcripts", data / "said.tsv", "--out", data / "out")
    assert run(*arguments) == 2
    errors = capsys.readouterr().err
    assert all(name in errors for name in ("r0", "r1", "r2", "r3", "more"))
    (data / "said.tsv").write_text("r0 the cat sat\nr1 no\nr2 gone\n")
    assert run(*arguments, "--allow-missing") == 0
    content, scores = result(data / "out")
    assert scores["wer"]["items"] == 1
    assert content["problems"] == {
        "unreadable": ["r1"],
        "missing recordings": ["r2"],
        "extra recordings": ["more"],
    }


def test_speech_of_length_zero_is_heard_as_nothing(data, capsys):
    audio.write(data / "made" / "r1.wav", torch.zeros(1, 0), 16000)
    arguments = [data / "made", "--transcripts", data / "said.tsv", "--out", data / "out"]
    assert run(*arguments) == 0
    content, scores = result(data / "out")
    references, hypotheses = ["the cat sat", "no it did not"], [*hear([data / "made" / "r0.wav"]), ""]
    assert content["complete"]
    assert scores["wer"]["value"] == pytest.approx(jiwer.wer(references, hypotheses))
    assert scores["cer"]["value"] == pytest.approx(jiwer.cer(references, hypotheses))
    assert float(rows(data / "out" / "speech.wer.csv")[1]["value"]) == 1.0
    arguments += ["--originals", data / "originals", "--metrics", "wer", "stoi"]
    assert run(*arguments) == 2
    assert "1 without stoi (r1)" in capsys.readouterr().err
    assert run(*arguments, "--allow-missing") == 0
    content, scores = result(data / "out")
    assert (scores["wer"]["items"], scores["stoi"]["items"]) == (2, 1)
    assert content["problems"] == {"without stoi": ["r1"]}


def test_a_file_without_a_value_is_a_problem(data, capsys):
    audio.write(data / "made" / "r1.wav", torch.zeros(1, 24000), 16000)
    arguments = (data / "made", "--originals", data / "originals", "--metrics", "f0", "--out", data / "out")
    assert run(*arguments) == 2
    assert "1 without f0 (r1)" in capsys.readouterr().err
    assert run(*arguments, "--allow-missing") == 0
    assert result(data / "out")[1]["f0"]["items"] == 1


@pytest.mark.parametrize(("metric", "needed"), [("wer", "--transcripts"), ("stoi", "--originals")])
def test_what_a_metric_needs_is_named(data, capsys, metric, needed):
    assert run(data / "made", "--metrics", metric, "--out", data / "out") == 2
    assert needed in capsys.readouterr().err


def test_transcripts_of_librispeech(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "1-2.trans.txt").write_text("1-2-0000 HE SAID YES\n1-2-0001 SO DID SHE\n")
    (tmp_path / "1" / "1-3.trans.txt").write_text("1-3-0000 NO\n\n")
    references, problems = transcripts(tmp_path)
    assert references == {"1-2-0000": "he said yes", "1-2-0001": "so did she", "1-3-0000": "no"}
    assert not any(problems.values())

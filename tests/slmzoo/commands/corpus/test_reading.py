"""What the commands on audio say of their inputs: nothing is lost without a word."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import soundfile
import torch

from slmcore import audio
from slmzoo.cli import main
from tests.reference.recipe import GOLDEN


@pytest.fixture(autouse=True)
def _tiny_zoo(registry, monkeypatch) -> None:
    monkeypatch.setenv("SLMZOO_REGISTRY", str(registry))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Half a second of speech in a folder."""
    wav, sr = audio.load(GOLDEN / "speech.wav")
    (tmp_path / "corpus").mkdir()
    audio.write(tmp_path / "corpus" / "a.wav", wav[:, 8000:16000], sr)
    return tmp_path / "corpus"


def units(capsys, *inputs: object) -> tuple[int, list[str], str]:
    """Exit status, the files with units, and standard error."""
    status = main(["units", *map(str, inputs), "--zoo", "tiny"])
    out, err = capsys.readouterr()
    return status, [json.loads(line)["file"] for line in out.splitlines()], err


def test_links_and_arguments_that_overlap(capsys, corpus):
    (corpus / "b.wav").symlink_to("a.wav")
    status, files, err = units(capsys, corpus, corpus / "a.wav", f"{corpus}/../corpus/*.wav")
    assert (status, files, err) == (0, [f"{corpus}/a.wav", f"{corpus}/b.wav"], "")


def test_results_keep_the_order_of_the_arguments(capsys, corpus):
    (corpus / "b.wav").symlink_to("a.wav")
    assert units(capsys, corpus / "b.wav", corpus)[1] == [f"{corpus}/b.wav", f"{corpus}/a.wav"]


def test_what_is_left_out_is_told_and_what_is_damaged_is_named(capsys, caplog, monkeypatch, corpus):
    monkeypatch.setenv("PATH", "")
    (corpus / "c.m4a").write_bytes(b"x")
    (corpus / "text.txt").write_bytes(b"x")
    (corpus / "dead.wav").symlink_to("gone.wav")
    content = (corpus / "a.wav").read_bytes()
    (corpus / "cut.wav").write_bytes(content[: len(content) // 2])
    status, files, err = units(capsys, corpus, corpus / "missing.wav")
    assert (status, files) == (1, [f"{corpus}/a.wav"])
    assert f"slmzoo: {corpus}/dead.wav is a dead link: gone.wav is not there.\n" in err
    assert f"slmzoo: {corpus}/missing.wav is no file" in err
    assert f"slmzoo: {corpus}/cut.wav was cut off: 0.25 s are missing." in err
    assert "Left out: 1 .m4a, 1 .txt. To take the audio among them, install ffmpeg" in caplog.text


def test_a_folder_without_audio_says_what_it_holds(capsys, caplog, monkeypatch, corpus):
    monkeypatch.setenv("PATH", "")
    (corpus / "a.wav").rename(corpus / "a.m4a")
    status, files, err = units(capsys, corpus)
    assert (status, files) == (1, [])
    assert err == f"slmzoo: {corpus} holds no audio file.\n"
    assert "Left out: 1 .m4a." in caplog.text


def test_one_file_of_an_odd_rate_does_not_stop_the_others(capsys, corpus):
    wav, _ = audio.load(corpus / "a.wav")
    soundfile.write(corpus / "b.wav", wav[0].numpy(), 44101)
    (corpus / "c.wav").symlink_to("a.wav")
    status, files, err = units(capsys, corpus)
    assert (status, [Path(file).name for file in files], err) == (0, ["a.wav", "b.wav", "c.wav"], "")


def test_channels_that_cancel_are_not_called_silent(capsys, corpus):
    wav, sr = audio.load(corpus / "a.wav")
    audio.write(corpus / "a.wav", torch.cat([wav, -wav]), sr)
    status, _, err = units(capsys, corpus)
    assert status == 1
    assert f"The 2 channels of {corpus}/a.wav cancel" in err
    assert "is silent:" not in err


def test_a_low_level_and_an_offset_are_told_and_taken(capsys, caplog, corpus):
    wav, sr = audio.load(corpus / "a.wav")
    soundfile.write(corpus / "a.wav", (0.01 * wav[0] + 0.003).numpy(), sr, subtype="FLOAT")
    status, files, _ = units(capsys, corpus)
    assert (status, len(files)) == (0, 1)
    assert f"{corpus}/a.wav is very quiet" in caplog.text
    assert f"{corpus}/a.wav has a DC offset of 0.003" in caplog.text


def test_long_names_are_written(capsys, corpus, tmp_path):
    name = "L" * 240
    (corpus / "a.wav").rename(corpus / f"{name}.wav")
    assert main(["resynth", str(corpus), "--zoo", "tiny", "--out", str(tmp_path / "o")]) == 0
    assert sorted(os.listdir(tmp_path / "o")) == [f"{name}.png", f"{name}.wav"]  # noqa: PTH208
    capsys.readouterr()

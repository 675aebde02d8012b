from __future__ import annotations

import json
from pathlib import Path

import numpy as np
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


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """One second of speech."""
    wav, sr = audio.load(GOLDEN / "speech.wav")
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    audio.write(path, wav[:, 8000:24000], sr)
    return path


def run(capsys, *arguments: object) -> tuple[int, list[dict], str]:
    """Exit status, results and standard error of a command."""
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return status, [json.loads(line) for line in out.splitlines()], err


def test_units(capsys, clip, pipeline):
    status, (row,), err = run(capsys, "units", clip, "--zoo", "tiny")
    expected = pipeline.units(*audio.load(clip))
    assert (status, err) == (0, "")
    assert (row["units"], row["durations"]) == (expected.units.tolist(), expected.durations.tolist())
    assert (row["zoo"], row["k"], row["lmbda"], row["num_neighbors"]) == ("tiny", 20, 4.0, 6)
    assert row["units_per_second"] == pytest.approx(len(row["units"]) / row["seconds"], rel=1e-3)


def test_units_at_any_lambda(capsys, clip):
    nearest, coarse = (run(capsys, "units", clip, "--zoo", "tiny", "--lmbda", x)[1][0]["units"] for x in (0, 1000))
    assert len(nearest) > len(coarse)


def test_models_can_be_smaller(capsys, clip, monkeypatch):
    exact, rounded, half = (
        run(capsys, "score", clip, "--zoo", "tiny", *more)[1][0]["loglikelihood"]
        for more in ((), ("--weights", "int8"), ("--dtype", "bfloat16"))
    )
    assert len({exact, rounded, half}) == 3
    assert rounded == pytest.approx(exact, rel=0.03)
    assert half == pytest.approx(exact, rel=0.1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    status, _, err = run(capsys, "score", clip, "--zoo", "tiny", "--weights", "int8")
    assert status == 2
    assert "`weights` must be float on CUDA" in err


def test_score(capsys, clip, pipeline):
    expected = pipeline.loglikelihood(wav=audio.load(clip)[0], sr=16000)
    _, (total,), _ = run(capsys, "score", clip, "--zoo", "tiny")
    _, (mean,), _ = run(capsys, "score", clip, "--zoo", "tiny", "--reduction", "mean")
    assert total["loglikelihood"] == pytest.approx(expected)
    assert mean["loglikelihood"] == pytest.approx(expected / total["num_units"])
    assert (total["reduction"], mean["reduction"], total["bos"], total["eos"]) == ("sum", "mean", True, False)


def test_resynth_writes_wavs_and_a_picture(capsys, clip, tmp_path):
    status, (row,), _ = run(capsys, "resynth", clip, "--zoo", "tiny", "--out", tmp_path / "o", "--num-samples", 2)
    assert status == 0
    assert len(row["wavs"]) == len(row["finished"]) == len(row["clipped_samples"]) == 2
    for name, seconds in zip(row["wavs"], row["wav_seconds"], strict=True):
        wav, rate = soundfile.read(name)
        assert len(wav) / rate == pytest.approx(seconds, abs=1e-3)
        assert np.isfinite(wav).all()
    assert Path(row["figure"]).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_resynth_repeats_with_a_seed_and_names_never_collide(capsys, clip, tmp_path):
    other = tmp_path / "clip.wav"
    other.write_bytes(clip.read_bytes())
    arguments = ("resynth", clip, other, "--zoo", "tiny", "--seed", 3, "--out")
    _, first, _ = run(capsys, *arguments, tmp_path / "a")
    _, second, _ = run(capsys, *arguments, tmp_path / "b")
    assert {Path(r["wavs"][0]).name for r in first} == {"clip.wav", "clip-2.wav"}
    for a, b in zip(first, second, strict=True):
        assert Path(a["wavs"][0]).read_bytes() == Path(b["wavs"][0]).read_bytes()


def test_speech_that_lost_a_part_is_told_with_both_lengths(capsys, clip, tmp_path):
    common = ("resynth", clip, "--zoo", "tiny", "--out", tmp_path, "--top-p", 0)
    status, (row,), err = run(capsys, *common, "--max-codec-tokens-per-phone", 0)
    assert (status, row["finished"]) == (0, [False])
    (line,) = err.splitlines()
    assert row["wav_seconds"][0] < 0.8 * row["seconds"]
    assert f"clip.wav: lasts {row['wav_seconds'][0]:.1f} s, but its units last {row['seconds']:.1f} s" in line
    status, (row,), err = run(capsys, *common, "--max-codec-tokens-per-phone", 0, "--keep-durations")
    assert (row["finished"], err) == ([True], "")
    assert row["wav_seconds"][0] == pytest.approx(row["seconds"], abs=0.03)


def test_continue(capsys, clip, tmp_path):
    common = ("--zoo", "tiny", "--max-new-units", 8, "--seed", 1, "--out", tmp_path)
    status, (row,), _ = run(capsys, "continue", clip, "--prompt-seconds", 0.5, "--num-samples", 2, *common)
    assert status == 0
    assert len(row["units"]) == len(row["wavs"]) == len(row["ended"]) == 2
    assert all(soundfile.info(name).frames > 0 for name in row["wavs"])
    status, (row,), _ = run(capsys, "continue", *common)
    assert (status, row["file"], row["prompt"]) == (0, None, [])
    assert soundfile.info(row["wavs"][0]).frames > 0


def broken(folder: Path) -> dict[str, Path]:
    """One file for each way in which audio can be no use."""
    files = {name: folder / f"{name}.wav" for name in ("empty", "silent", "brief", "nan", "corrupt", "missing", "text")}
    files["empty"].write_bytes(b"")
    soundfile.write(files["silent"], np.zeros(16000), 16000)
    soundfile.write(files["brief"], np.full(160, 0.1), 16000)
    soundfile.write(files["nan"], np.array([0.1] * 8000 + [np.nan] * 8000), 16000, subtype="FLOAT")
    files["corrupt"].write_bytes(b"RIFF" + bytes(range(200)))
    files["text"].write_text("not audio\n")
    return files


@pytest.mark.parametrize("command", ["units", "score", "resynth", "continue"])
def test_what_is_no_use_gets_a_line_and_the_others_come_out(capsys, clip, tmp_path, command):
    bad = broken(tmp_path)
    arguments = [command, *bad.values(), clip, "--zoo", "tiny"]
    arguments += ["--out", tmp_path / "out"] if command in ("resynth", "continue") else []
    status, rows, err = run(capsys, *arguments)
    assert status == 1
    assert [row["file"] for row in rows] == [str(clip)]
    lines = [line for line in err.splitlines() if "its units last" not in line]  # random weights keep no lengths
    assert len(lines) == len(bad)
    for path in bad.values():
        assert sum(str(path) in line for line in lines) == 1
    assert "Traceback" not in err


def test_folders_globs_and_other_formats(capsys, clip, tmp_path):
    wav, rate = soundfile.read(clip)
    stereo = np.stack([wav, wav], 1)
    for name, kind in (("a.flac", None), ("b.ogg", None), ("c.mp3", None)):
        soundfile.write(tmp_path / name, stereo, rate, format=kind)
    _, rows, _ = run(capsys, "units", tmp_path, "--zoo", "tiny")
    assert [Path(r["file"]).name for r in rows] == ["a.flac", "b.ogg", "c.mp3"]
    _, rows, _ = run(capsys, "units", tmp_path / "*.[fo]*", "--zoo", "tiny")
    assert [Path(r["file"]).name for r in rows] == ["a.flac", "b.ogg"]


def test_jsonl_goes_to_a_file(capsys, clip, tmp_path):
    target = tmp_path / "r.jsonl"
    status, rows, _ = run(capsys, "score", clip, "--zoo", "tiny", "--jsonl", target)
    assert (status, rows) == (0, [])
    assert json.loads(target.read_text())["file"] == str(clip)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "COMMAND"),
        (("units",), "AUDIO"),
        (("fly",), "invalid choice"),
        (("units", "x.wav", "--device", "tpu"), "invalid choice"),
    ],
)
def test_wrong_usage_is_status_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--zoo", "nowhere"), "demo, tiny, but is"),
        (("--k", 500, "--lmbda", 1), "(500, 4500)"),
        (("--zoo", "tiny", "--k", 21), "20"),
    ],
)
def test_a_model_that_there_is_not_is_status_2(capsys, clip, arguments, message):
    status, rows, err = run(capsys, "score", clip, *arguments)
    assert (status, rows) == (2, [])
    assert message in err
    assert len(err.splitlines()) == 1


def test_offline_without_the_file_is_one_line(capsys, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    status, rows, err = run(capsys, "units", clip, "--lmbda", 0)
    assert (status, rows) == (1, [])
    assert "SLMZOO_OFFLINE" in err
    assert "Traceback" not in err


def test_list(capsys, registry, terminal, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    assert main(["list", "--registry", str(registry)]) == 0
    out = capsys.readouterr().out
    assert "mistral-ulm-k-500-lmbda-4500-hours-60k-steps-200k" in out
    lines = [line for line in out.splitlines() if line.startswith("tiny")]
    assert len(lines) == 5
    assert [line.split()[5] for line in lines] == ["own"] * 5
    assert [line.split()[5] for line in out.splitlines() if line.startswith("demo")] == ["shipped"] * 5
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


def test_fetch_and_verify(capsys):
    status, rows, _ = run(capsys, "fetch", 20, 4, "--zoo", "tiny")
    assert status == 0
    assert [row["kind"] for row in rows] == ["wavlm", "codebook", "ulm", "ellav", "wavtokenizer"]
    assert run(capsys, "fetch", "--all", "--zoo", "tiny")[1] == rows
    status, verified, _ = run(capsys, "verify", "--zoo", "tiny")
    assert status == 0
    assert {len(row["sha256"]) for row in verified} == {64}


def test_convert(capsys, registry, tmp_path):
    from mistral_ulm import load

    target = tmp_path / "ulm.safetensors"
    assert main(["convert", str(registry.parent / "ulm.pt"), str(target)]) == 0
    assert "ulm" in capsys.readouterr().out
    one, other = load(registry.parent / "ulm.pt"), load(target)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    assert main(["convert", str(GOLDEN / "speech.wav"), str(target)]) == 2

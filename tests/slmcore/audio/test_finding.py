"""Which files are found, and that nothing is left out without a word."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from slmcore import audio
from slmcore.audio import ffmpeg


def made(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def found(folder: Path, *sources: str | Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in audio.find(sources or folder)]


def test_find_takes_files_folders_and_patterns_once(tmp_path):
    for name in ["b.wav", "a.FLAC", "sub/c.mp3", "notes.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    names = [
        path.name for path in audio.find([tmp_path, tmp_path / "b.wav", f"{tmp_path}/*.wav", f"{tmp_path}/**/*.mp3"])
    ]
    assert names == ["a.FLAC", "b.wav", "c.mp3"]
    assert audio.find(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    assert audio.find([]) == []
    assert [path.name for path in audio.search([tmp_path / "sub", tmp_path / "b.wav", tmp_path]).files] == [
        *("c.mp3", "b.wav", "a.FLAC")
    ]
    for nothing in ("missing.wav", "*.ogg"):
        with pytest.raises(FileNotFoundError):
            audio.find(str(tmp_path / nothing))


def test_find_takes_a_name_with_brackets(tmp_path):
    (tmp_path / "take[1].wav").write_bytes(b"x")
    assert audio.find(str(tmp_path / "take[1].wav")) == [tmp_path / "take[1].wav"]


def test_linked_folders_are_entered(tmp_path):
    made(tmp_path, "corpus/spk1/a.wav", "else/spk2/b.wav")
    (tmp_path / "corpus" / "spk2").symlink_to("../else/spk2")
    assert found(tmp_path / "corpus") == ["spk1/a.wav", "spk2/b.wav"]


def test_a_folder_within_itself_is_entered_once(tmp_path):
    made(tmp_path, "corpus/a.wav", "corpus/deep/b.wav")
    (tmp_path / "corpus" / "deep" / "loop").symlink_to("..")
    assert found(tmp_path / "corpus") == ["a.wav", "deep/b.wav"]
    assert found(tmp_path / "corpus", f"{tmp_path}/corpus/**/*.wav") == ["a.wav", "deep/b.wav"]


def test_each_name_is_an_utterance(tmp_path):
    made(tmp_path, "blob")
    for name in ("one.wav", "three.wav", "two.wav"):
        (tmp_path / name).symlink_to("blob")
    assert found(tmp_path) == ["one.wav", "three.wav", "two.wav"]
    assert found(tmp_path, tmp_path / "two.wav", tmp_path / "one.wav") == ["one.wav", "two.wav"]


def test_arguments_that_overlap_name_a_file_once(tmp_path, monkeypatch):
    made(tmp_path, "corpus/spk1/a.wav")
    monkeypatch.chdir(tmp_path)
    ways = ["corpus", "corpus/spk1", "./corpus/spk1/a.wav", "corpus/../corpus/*/*.wav", str(tmp_path / "corpus")]
    assert audio.find(ways) == [Path("corpus/spk1/a.wav")]


def test_a_way_up_through_a_link_is_another_file(tmp_path, monkeypatch):
    made(tmp_path, "a.wav", "far/a.wav", "far/deep/c.wav")
    (tmp_path / "link").symlink_to("far/deep")
    monkeypatch.chdir(tmp_path)
    assert audio.find(["a.wav", "link/../a.wav"]) == [Path("a.wav"), Path("link/../a.wav")]


@pytest.mark.usefixtures("without_ffmpeg")
def test_what_is_left_out_is_counted_and_named(tmp_path, caplog):
    made(tmp_path, "a.wav", "B.WAV", "c.m4a", "sub/d.M4A", "e.sph", "f.webm", "g.txt", "README", ".hidden/h.flac")
    outcome = audio.search(tmp_path)
    assert [file.name for file in outcome.files] == ["h.flac", "B.WAV", "a.wav", "e.sph"]
    assert outcome.left_out == Counter({".m4a": 2, ".webm": 1, ".txt": 1, "": 1})
    assert audio.find(tmp_path) == sorted(outcome.files)
    assert audio.search([tmp_path, tmp_path / "sub", tmp_path]).left_out == outcome.left_out
    summary = "Left out: 1 without an ending, 2 .m4a, 1 .txt, 1 .webm. To take the audio among them, install ffmpeg"
    assert caplog.messages[0].startswith(f"{tmp_path}: {summary}")
    assert len(caplog.messages) == 1


def test_folders_without_audio_and_names_of_nothing_are_part_of_the_outcome(tmp_path):
    made(tmp_path, "text/a.txt", "speech/a.wav")
    outcome = audio.search([tmp_path / "text", tmp_path / "gone.wav", tmp_path / "speech"])
    assert outcome.empty == [f"{tmp_path}/text"]
    assert [str(problem) for problem in outcome.problems] == [
        f"{tmp_path}/gone.wav is no file, folder or pattern that matches a file."
    ]
    assert outcome.files == [tmp_path / "speech" / "a.wav"]
    assert audio.find(tmp_path / "text") == []


def test_nothing_is_told_where_nothing_is_left_out(tmp_path, caplog):
    made(tmp_path, "a.wav", "b.mp3")
    assert audio.search(tmp_path).describe_left_out() == ""
    audio.find(tmp_path)
    assert caplog.messages == []
    made(tmp_path, "c.txt")
    assert audio.search(tmp_path).describe_left_out() == "Left out: 1 .txt."


@pytest.mark.skipif(not ffmpeg.installed(), reason="ffmpeg is not installed")
def test_with_ffmpeg_more_is_taken(tmp_path):
    made(tmp_path, "a.m4a", "b.webm", "c.txt", "d.wav")
    outcome = audio.search(tmp_path)
    assert [file.name for file in outcome.files] == ["a.m4a", "b.webm", "d.wav"]
    assert outcome.left_out == Counter({".txt": 1})


def test_dead_links_and_pipes_fail_by_name(tmp_path):
    made(tmp_path, "a.wav")
    (tmp_path / "b.wav").symlink_to("gone.wav")
    os.mkfifo(tmp_path / "c.wav")
    outcome = audio.search(tmp_path)
    assert [file.name for file in outcome.files] == ["a.wav"]
    dead, pipe = map(str, outcome.problems)
    assert dead == f"{tmp_path}/b.wav is a dead link: gone.wav is not there."
    assert pipe.startswith(f"{tmp_path}/c.wav is a device or a pipe")
    with pytest.raises(FileNotFoundError, match=r"b\.wav is a dead link.* 1 more could not be found or listed"):
        audio.find(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"b\.wav is a dead link: gone\.wav"):
        audio.find(tmp_path / "b.wav")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into everything")
def test_a_locked_folder_fails_by_name(tmp_path):
    made(tmp_path, "a.wav", "locked/b.wav")
    (tmp_path / "locked").chmod(0)
    try:
        outcome = audio.search(tmp_path)
        with pytest.raises(PermissionError, match="locked cannot be listed"):
            audio.find(tmp_path)
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert [file.name for file in outcome.files] == ["a.wav"]
    assert isinstance(outcome.problems[0], PermissionError)


def test_a_pipe_that_is_named_is_taken_and_a_dash_is_the_standard_input(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert audio.find(tmp_path / "pipe") == [tmp_path / "pipe"]
    assert audio.find("-") == [Path("/dev/stdin")]

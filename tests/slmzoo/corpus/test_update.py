"""A job and its corpus some time later: what changed is seen and told, and taken where that is asked for."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from slmcore import audio, shards
from slmcore.files import places
from slmzoo import hub
from slmzoo.corpus import plain, plan
from slmzoo.corpus.models import Models
from slmzoo.corpus.run import encode_corpus
from tests.reference.corpora import tar_of

SHORT = 0.5  # seconds of speech in a shard
here = partial(plain.run, workers=1)  # in this process


def job(out, models, *corpus, **options):
    named = [str(source) for source in corpus]
    return encode_corpus(str(out), named, models, **{"shard_seconds": SHORT, "engine": here, **options})


def ids_of(out: Path) -> list[str]:
    return [record.id for record in shards.read(out)]


def messages(caplog) -> list[str]:
    """Warnings, and those only once."""
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    return found


@pytest.fixture
def corpus(speech_folder, tmp_path) -> Path:
    return Path(shutil.copytree(speech_folder, tmp_path / "in"))


def change(corpus: Path) -> None:
    """Add two utterances, remove one and replace one by another of the same length."""
    files = audio.find(corpus)
    for name in ("84-120-0000b", "84-121-0013"):
        shutil.copy(files[5], corpus / "84" / name[3:6] / f"{name}.wav")
    files[3].unlink()
    wav, sr = audio.load(files[8])
    audio.write(files[8], wav.flip(1), sr)
    os.utime(files[8], ns=(1, 1))


CHANGES = "2 added, 1 removed, 1 replaced"


def records_of(out: Path) -> dict[str, tuple]:
    return {r.id: (r.units.units.tolist(), r.units.durations.tolist(), r.speaker, r.chapter) for r in shards.read(out)}


def test_what_changed_is_told_and_taken_on_request(models, corpus, tmp_path, caplog, content):
    out = tmp_path / "out"
    job(out, models, corpus)
    before = content(out)
    change(corpus)
    assert job(out, models, corpus).made == 0
    assert messages(caplog) == [f"Since {out} was begun, its inputs changed: {CHANGES}. Give --update to take them."]
    assert content(out) == before
    outcome = job(out, models, corpus, update=True)
    assert (outcome.made, outcome.points[0]["records"]) == (4, 13)
    assert not messages(caplog)
    stale = {shard.name for shard in stale_of(out, "84/120/84-120-0003", "84/121/84-121-0008")}
    after = content(out)
    assert len(stale) == 2
    touched = {f"{shard}.parquet" for shard in stale}
    for name in before.keys() - NOT_SHARDS:
        assert (after[name] == before[name]) == (name not in touched), name
    job(tmp_path / "fresh", models, corpus)
    assert records_of(out) == records_of(tmp_path / "fresh")
    assert job(out, models, corpus).made == job(out, models, corpus, update=True).made == 0
    assert not messages(caplog)
    assert content(out) == after
    for shard in out.glob("*.parquet"):
        shard.unlink()
    job(out, models, corpus)
    assert content(out) == after


NOT_SHARDS = {"index.json", "manifest.jsonl", "job.json"}


def stale_of(out: Path, *names: str) -> list[plan.Planned]:
    """The shards whose lines, as they were at first, hold one of the names."""
    lines = (out / "manifest.jsonl").read_bytes()
    cut = plan.cut(out / "manifest.jsonl", SHORT)
    return [shard for shard in cut if any(name.encode() in lines[shard.first_byte : shard.end] for name in names)]


def test_several_updates_follow_each_other(models, corpus, tmp_path, caplog):
    out, again = tmp_path / "out", corpus / "84" / "120" / "84-120-0002.wav"
    job(out, models, corpus)
    kept = again.read_bytes()
    again.unlink()
    job(out, models, corpus, update=True)
    assert len(ids_of(out)) == 11
    again.write_bytes(kept)
    assert job(out, models, corpus, update=True).made == 1
    assert sorted(ids_of(out)) == sorted({*ids_of(out)})
    assert len(ids_of(out)) == 12
    shutil.copy(again, corpus / "84" / "120" / "84-120-0002x.wav")
    assert job(out, models, corpus, update=True).made == 1
    assert ids_of(out)[-2:] == ["84/120/84-120-0002", "84/120/84-120-0002x"]
    assert not messages(caplog)


def test_utterances_keep_their_names(models, speech_folder, tmp_path):
    """One that is new may not take the name of another, though it comes first in its folder."""
    corpus, out = tmp_path / "in", tmp_path / "out"
    one, other = audio.find(speech_folder)[:2]
    corpus.mkdir()
    shutil.copy(one, corpus / "x.wav")
    job(out, models, corpus)
    (kept,) = records_of(out).values()
    wav, sr = audio.load(other)
    audio.write(corpus / "x.AIF", wav, sr)  # sorted before x.wav; what is in it says what it is
    job(out, models, corpus, update=True)
    assert list(records_of(out)) == ["x", "x-2"]
    assert records_of(out)["x"] == kept


def test_tars_and_lists_that_change(models, speech_folder, tmp_path, caplog):
    files, out = audio.find(speech_folder), tmp_path / "out"
    tar_of(tmp_path / "0.tar", {f"{i}.wav": files[i].read_bytes() for i in (0, 1)})
    (tmp_path / "l.csv").write_text(f"path,id,speaker\n{files[2]},two,me\n{files[3]},three,me\n")
    corpus = [tmp_path / "*.tar", tmp_path / "l.csv"]
    job(out, models, *corpus)
    assert ids_of(out) == ["0", "1", "two", "three"]
    job(out, models, *corpus)
    assert not messages(caplog)
    tar_of(tmp_path / "1.tar", {"4.wav": files[4].read_bytes()})
    tar_of(tmp_path / "0.tar", {"0.wav": files[0].read_bytes(), "5.wav": files[5].read_bytes()})
    (tmp_path / "l.csv").write_text(f"path,id,speaker\n{files[2]},two,you\n{files[6]},six,me\n")
    job(out, models, *corpus)
    assert "1 added, 0 removed, 2 replaced" in messages(caplog)[0]
    job(out, models, *corpus, update=True)
    assert sorted(ids_of(out)) == ["0", "4", "5", "six", "two"]
    assert {record.id: record.speaker for record in shards.read(out)}["two"] == "you"
    job(out, models, *corpus)
    assert not messages(caplog)


def test_an_update_that_fails_leaves_the_job_as_it_was(models, corpus, tmp_path, content):
    out = tmp_path / "out"
    job(out, models, corpus)
    before = content(out)
    corpus.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError, match="is no file, folder or pattern"):
        job(out, models, corpus, update=True)
    assert content(out) == before


@pytest.mark.parametrize("survived", range(9))
def test_an_update_may_be_interrupted_at_any_step(models, corpus, tmp_path, content, monkeypatch, survived):
    """Nothing old is served, whatever is run next; another update leaves what an undisturbed one leaves."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    for each in (out, whole):
        job(each, models, corpus)
    (replaced,) = (values for name, values in records_of(out).items() if name.endswith("0008"))
    change(corpus)
    job(whole, models, corpus, update=True)
    steps = []

    def dying(work):
        def step(*arguments):
            steps.append(1)
            if len(steps) > survived:
                raise KeyboardInterrupt
            return work(*arguments)

        return step

    with monkeypatch.context() as patched:
        for name in ("remove", "write_bytes"):
            patched.setattr(places, name, dying(getattr(places, name)))
        with pytest.raises(KeyboardInterrupt):
            job(out, models, corpus, update=True)
    if survived:
        assert not (out / "index.json").exists()
        job(out, models, corpus)
        old = [values for name, values in records_of(out).items() if name.endswith("0008") and values == replaced]
        assert not old or survived < 5, "the record of a file that was replaced is served"
    job(out, models, corpus, update=True)
    assert content(out) == content(whole)


def test_a_job_is_the_same_from_every_folder(models, corpus, tmp_path, monkeypatch):
    out = tmp_path / "out"
    other = tmp_path / "B" / "in"
    shutil.copytree(corpus, other)
    monkeypatch.chdir(tmp_path)
    job("out", models, "in")
    assert json.loads((out / "job.json").read_text())["corpus"] == [str(corpus)]
    assert all(Path(item.audio).is_absolute() for item in plan.items(out / "manifest.jsonl"))
    monkeypatch.chdir(corpus)
    for same in ("../in", ".", corpus, f"{corpus}/", corpus.as_uri()):
        if same != "../in":  # which may be another one where a link leads to it
            assert job(out, models, same).made == 0
    monkeypatch.chdir(tmp_path / "B")
    with pytest.raises(ValueError, match=r"corpus was \['.*/in'\], now \['.*/B/in'\]"):
        job(out, models, "in")


def as_before(out: Path, top: Path) -> None:
    """What was kept of a job by 0.1.0: places relative to `top`, no stamps."""

    def seen(place: str) -> str:
        return place.removeprefix(f"{top}/")

    kept = json.loads((out / "job.json").read_text())
    kept = {name: value for name, value in kept.items() if name not in ("lists", "left_out")}
    kept |= {name: [seen(place) for place in kept[name]] for name in ("corpus", "roots")}
    (out / "job.json").write_text(json.dumps(kept))
    items = list(plan.items(out / "manifest.jsonl"))
    plan.write_manifest(
        out / "manifest.jsonl",
        [replace(item, audio=seen(item.audio), stamp=None, member=None) for item in items],
    )


def test_jobs_of_relative_places_go_on_where_they_began(models, corpus, tmp_path, monkeypatch, caplog, content):
    out, other = tmp_path / "out", tmp_path / "B" / "in"
    job(out, models, corpus)
    whole = content(out)
    as_before(out, tmp_path)
    monkeypatch.chdir(tmp_path)
    (out / "shard-000001.parquet").unlink()
    assert job(out, models, "in").made == 1
    assert content(out).items() - whole.items() == {(n, content(out)[n]) for n in ("manifest.jsonl", "job.json")}
    assert not messages(caplog)
    for i, file in enumerate(audio.find(corpus)):  # other speech under the same names
        place = other / file.relative_to(corpus)
        place.parent.mkdir(parents=True, exist_ok=True)
        wav, sr = audio.load(file)
        audio.write(place, wav[:, : 4000 + 100 * i], sr)
    monkeypatch.chdir(tmp_path / "B")
    with pytest.raises(ValueError, match=r"relative places in, and not with these files \(0 added, 0 removed, 12 repl"):
        job(out, models, "in")
    monkeypatch.chdir(tmp_path)
    change(corpus)
    audio.write(corpus / "84" / "121" / "84-121-0009.wav", wav[:, :5000], sr)
    with pytest.raises(ValueError, match="2 added, 1 removed, 1 replaced"):  # of equal size and no known time
        job(out, models, "in")
    job(out, models, "in", update=True)
    assert len(ids_of(out)) == 13
    assert json.loads((out / "job.json").read_text())["corpus"] == [str(corpus)]
    assert job(out, models, corpus).made == 0
    assert not messages(caplog)


def test_tars_and_lists_of_a_job_without_stamps(models, speech_folder, tmp_path, monkeypatch, caplog):
    files, out = audio.find(speech_folder), tmp_path / "out"
    tar_of(tmp_path / "0.tar", {f"{i}.wav": files[i].read_bytes() for i in (0, 1)})
    (tmp_path / "l.csv").write_text(f"path,id,start\n{files[2]},two,0.1\n{files[3]},three,\n")
    job(out, models, tmp_path / "*.tar", tmp_path / "l.csv")
    as_before(out, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert job(out, models, "*.tar", "l.csv").made == 0
    assert not messages(caplog)
    tar_of(tmp_path / "1.tar", {"4.wav": files[4].read_bytes()})
    job(out, models, "*.tar", "l.csv")
    assert "1 added, 0 removed, 0 replaced" in messages(caplog)[0]
    assert job(out, models, "*.tar", "l.csv", update=True).made == 1
    assert ids_of(out) == ["0", "1", "two", "three", "4"]


def test_a_finished_job_loads_no_encoder(settings, models, corpus, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "slmzoo.corpus")
    out = tmp_path / "out"
    job(out, models, corpus)

    def refuse(**_: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(hub, "encoder", refuse)
    caplog.clear()
    outcome = job(out, Models(settings), corpus)
    assert (outcome.made, outcome.points[0]["records"]) == (0, 12)
    assert caplog.messages == [f"{out} is finished: all {len(list(out.glob('*.parquet')))} shards are there."]
    with pytest.raises(ValueError, match="operating_point was"):
        job(out, Models(replace(settings, points=((settings.points[0][0], 9.0),))), corpus)
    (out / "shard-000000.parquet").unlink()
    with pytest.raises(AssertionError, match="loaded"):
        job(out, Models(settings), corpus)


def test_what_was_left_out_is_told_at_the_end(models, corpus, tmp_path, caplog):
    caplog.set_level("INFO", "slmzoo.corpus")
    for name in ("84/120/84-120.trans.txt", "84/121/84-121.trans.txt", "notes.xyz"):
        (corpus / name).write_text("x")
    for _ in range(2):
        (point,) = job(tmp_path / "out", models, corpus).points
        assert point["left_out"] == {".txt": 2, ".xyz": 1}
        assert shards.read_index(tmp_path / "out")["left_out"] == {".txt": 2, ".xyz": 1}
    assert f"Left out, since not audio: 2 .txt ({corpus}/84/120/84-120.trans.txt)" in caplog.text
    (corpus / "notes.xyz").unlink()
    job(tmp_path / "out", models, corpus, update=True)
    assert shards.read_index(tmp_path / "out")["left_out"] == {".txt": 2}

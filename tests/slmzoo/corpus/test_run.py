from __future__ import annotations

import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from slmcore import audio, shards
from slmcore.files import places
from slmcore.units import Units
from slmzoo import hub
from slmzoo.corpus import job as jobs
from slmzoo.corpus import plain, run, stages
from slmzoo.corpus.items import Item
from slmzoo.corpus.models import Models
from slmzoo.corpus.run import encode_corpus
from tests.reference.tiny_zoo import LMBDA, K

SHORT = 0.5  # seconds of speech in a shard: ten shards of the twelve utterances


@pytest.fixture(scope="module")
def whole(models, speech_folder, tmp_path_factory) -> Path:
    """What an undisturbed job leaves."""
    out = tmp_path_factory.mktemp("whole")
    assert job(out, models, speech_folder).failed == 0
    return out


here = partial(plain.run, workers=1)  # in this process


def job(out, models, corpus, **options):
    return encode_corpus(str(out), [str(corpus)], models, **{"shard_seconds": SHORT, "engine": here, **options})


def test_a_corpus_gives_what_each_file_gives(whole, models, speech_folder, registry):
    pipeline = hub.pipeline(zoo="tiny", registry=registry, with_ulm=False, with_speech=False)
    records = list(shards.read(whole))
    files = audio.find(speech_folder)
    assert len(files) == len(records) == 12
    for record, file in zip(records, files, strict=True):
        wav, sr = audio.load(file)
        with plain.one_thread(models.settings):
            units = pipeline.units(wav, sr)
        assert record.units.framewise().tolist() == units.framewise().tolist()
        assert (record.samples, record.sample_rate) == (wav.shape[1], sr)
        assert record.units.operating_point == units.operating_point
        assert record.id.endswith(file.stem)


def test_what_is_told_of_the_making(whole, registry, settings):
    found = shards.provenance(whole)
    point = json.loads(found["operating_point"])
    assert (point["k"], point["lmbda"], point["num_neighbors"], point["layer"]) == (K, LMBDA, 6, 3)
    assert (found["dtype"], found["device"], float(found["frame_rate"])) == ("float32", "cpu", 50.0)
    assert {len(found["encoder_sha256"]), len(found["codebook_sha256"])} == {64}
    assert {path.name for path in whole.iterdir()} - {".lock"} == {
        *(f"shard-{i:06d}.parquet" for i in range(len(list(whole.glob("*.parquet"))))),
        *("failed", "failed.jsonl", "index.json", "job.json", "manifest.jsonl"),
    }


def test_a_second_run_changes_nothing(whole, models, speech_folder, content):
    before = content(whole)
    times = {path: path.stat().st_mtime_ns for path in whole.glob("*.parquet")}
    assert job(whole, models, speech_folder).made == 0
    assert content(whole) == before
    assert times == {path: path.stat().st_mtime_ns for path in whole.glob("*.parquet")}


@pytest.mark.parametrize("stage", ["read", "encode", "write"])
@pytest.mark.parametrize("survived", [0, 1, 4])
def test_an_interrupted_job_goes_on(whole, models, speech_folder, content, tmp_path, monkeypatch, stage, survived):
    calls = []

    def dying(*arguments):
        calls.append(1)
        if len(calls) > survived:
            raise KeyboardInterrupt
        return getattr(stages, stage)(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(plain, stage, dying)
        with pytest.raises(KeyboardInterrupt):
            job(tmp_path, models, speech_folder)
    done = {path.name for path in tmp_path.glob("*.parquet")}
    assert survived - 1 <= len(done) <= survived
    assert not (tmp_path / "index.json").exists()
    outcome = job(tmp_path, models, speech_folder)
    assert outcome.made == len(list(whole.glob("*.parquet"))) - len(done)
    assert content(tmp_path) == content(whole)


def test_progress_is_logged_without_a_terminal(models, speech_folder, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "slmzoo.corpus")
    with monkeypatch.context() as patched:
        patched.setattr(run, "SECONDS_BETWEEN_LINES", 0.0)
        made = job(tmp_path / "shown", models, speech_folder).made
    assert len(caplog.messages) == made
    line = r"0\.00 of about 0\.00 h, \d+ x real time, 0 failed, 00:00 left"
    assert re.fullmatch(line, caplog.messages[-1])
    caplog.clear()
    job(tmp_path / "short", models, speech_folder)
    assert not caplog.messages


def test_processes_make_the_same_bytes(whole, models, speech_folder, content, tmp_path):
    outcome = job(tmp_path, models, speech_folder, engine=partial(plain.run, workers=2))
    assert outcome.made == len(list(whole.glob("*.parquet")))
    assert content(tmp_path) == content(whole)


def test_leftovers_and_damaged_shards_are_made_anew(whole, models, speech_folder, content, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    (tmp_path / ".shard-000001.parquet.x.part").write_bytes(b"half")
    (tmp_path / "shard-000001.parquet").unlink()
    cut = (tmp_path / "shard-000002.parquet").read_bytes()[:-40]
    (tmp_path / "shard-000002.parquet").write_bytes(cut)
    other = shards.read(tmp_path / "shard-000003.parquet")
    shards.write(tmp_path / "shard-000003.parquet", list(other)[:-1], shards.provenance(whole))
    assert job(tmp_path, models, speech_folder).made == 3
    assert content(tmp_path) == content(whole)


def test_a_shard_damaged_inside_is_told_with_the_remedy(whole, models, speech_folder, content, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    shard = tmp_path / "shard-000002.parquet"
    damaged = bytearray(shard.read_bytes())
    damaged[60] ^= 255
    shard.write_bytes(damaged)
    assert shards.summary(shard)[0]
    with pytest.raises(
        ValueError, match=r"shard-000002\.parquet is damaged.* Delete that shard and run the same command again"
    ):
        job(tmp_path, models, speech_folder)
    shard.unlink()
    assert job(tmp_path, models, speech_folder).made == 1
    assert content(tmp_path) == content(whole)


def test_a_name_that_is_no_text_is_written_as_one(models, speech_folder, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    name = os.fsdecode(os.fsencode(folder) + b"/b\xe4r.wav")
    try:
        shutil.copy(audio.find(speech_folder)[0], name)
    except OSError:
        pytest.skip("this file system takes names of valid text only, as APFS and NTFS; those of Linux take any bytes")
    assert job(tmp_path / "out", models, folder).failed == 0
    assert [record.id for record in shards.read(tmp_path / "out")] == ["b\\udce4r"]
    Path(name).write_bytes(b"no audio")
    assert job(tmp_path / "again", models, folder).failed == 1


@pytest.fixture
def rubbish(speech_folder, tmp_path) -> Path:
    """The corpus with four files that are no speech."""
    folder = tmp_path / "rubbish"
    shutil.copytree(speech_folder, folder)
    chapter = folder / "84" / "120"
    (chapter / "84-120-0000a.wav").write_bytes(b"")
    (chapter / "84-120-0001a.wav").write_bytes(b"no audio at all")
    audio.write(chapter / "84-120-0002a.wav", torch.zeros(1, 4000), 16000)
    audio.write(chapter / "84-120-0003a.wav", torch.ones(1, 100), 16000)
    return folder


def test_bad_files_are_told_and_do_not_stop_the_others(whole, models, rubbish, tmp_path, rows):
    out = tmp_path / "out"
    outcome = job(out, models, rubbish)
    assert outcome.failed == 4
    failed = [json.loads(line) for line in (out / "failed.jsonl").read_text().splitlines()]
    assert [row["id"] for row in failed] == [f"84/120/84-120-000{i}a" for i in range(4)]
    for row, reason in zip(
        failed, ("is empty (0 bytes)", "not audio", "is silent", "at least 320 samples"), strict=True
    ):
        assert reason in row["reason"]
        assert Path(row["audio"]).exists()
    assert rows(out) == rows(whole)
    assert job(out, models, rubbish).made == 0


def test_what_failed_is_tried_again_when_asked_for(models, rubbish, speech_folder, tmp_path, content, monkeypatch):
    out = tmp_path / "out"
    job(out, models, rubbish)
    good = rubbish / "84" / "120" / "84-120-0004.wav"
    for name in ("84-120-0001a", "84-120-0002a"):
        shutil.copy(good, rubbish / "84" / "120" / f"{name}.wav")
    assert job(out, models, rubbish).failed == 4
    made = []

    def dying(encoded, target, name):
        made.append(name)
        if len(made) == 2:
            raise KeyboardInterrupt
        stages.write(encoded, target, name)

    with monkeypatch.context() as patched:
        patched.setattr(plain, "write", dying)
        with pytest.raises(KeyboardInterrupt):
            job(out, models, rubbish, retry_failed=True)
    outcome = job(out, models, rubbish, retry_failed=True)
    assert outcome.failed == 2
    manifest = [json.loads(line)["id"] for line in (out / "manifest.jsonl").read_text().splitlines()]
    failed = [json.loads(line)["id"] for line in (out / "failed.jsonl").read_text().splitlines()]
    assert sorted([*failed, *(record.id for record in shards.read(out))]) == manifest
    fresh = tmp_path / "fresh"
    (fresh).mkdir()
    shutil.copy(out / "manifest.jsonl", fresh / "manifest.jsonl")
    shutil.copy(out / "job.json", fresh / "job.json")
    job(fresh, models, rubbish)
    assert content(fresh) == content(out)


def test_a_retry_that_dies_between_its_files_loses_no_item(models, speech_folder, tmp_path, monkeypatch):
    """As many items fail as before, but others: the old shard and the new list would hold as many as were planned."""
    folder, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(speech_folder, folder)
    one, other = audio.find(folder)[:2]
    good = one.read_bytes()
    one.write_bytes(b"no audio")
    assert job(out, models, folder, shard_seconds=None).failed == 1
    one.write_bytes(good)
    other.write_bytes(b"no audio")
    write_bytes = places.write_bytes

    def dying(place, content):
        if str(place).endswith(".parquet"):
            raise KeyboardInterrupt
        write_bytes(place, content)

    with monkeypatch.context() as patched:
        patched.setattr(places, "write_bytes", dying)
        with pytest.raises(KeyboardInterrupt):
            job(out, models, folder, shard_seconds=None, retry_failed=True)
    assert job(out, models, folder, shard_seconds=None).failed == 1
    failed = [json.loads(line)["id"] for line in (out / "failed.jsonl").read_text().splitlines()]
    assert len({*failed, *(record.id for record in shards.read(out))}) == 12


def one_unit(models, wavs):
    return [[Units(torch.tensor([1]), torch.tensor([2]), 50.0, models.points[0]) for _ in wavs]]


def test_a_batch_that_fails_is_taken_apart(models, speech_folder, tmp_path, monkeypatch):
    tried = []

    def units(wavs):
        tried.append(len(wavs))
        if any(wav.shape[1] == 4800 for wav in wavs):
            raise ValueError("no speech")
        return one_unit(models, wavs)

    monkeypatch.setattr(models, "units", units)
    outcome = job(tmp_path, models, speech_folder, shard_seconds=None)
    assert max(tried) > 1
    assert (outcome.failed, outcome.points[0]["records"]) == (1, 11)
    assert "no speech" in (tmp_path / "failed.jsonl").read_text()


FULL = [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory: you")]


@pytest.mark.parametrize("full", FULL)
def test_batches_do_not_follow_from_the_memory_there_is(models, speech_folder, tmp_path, monkeypatch, full):
    def units(wavs):
        if len(wavs) > 1 or wavs[0].shape[1] == 4800:
            raise full
        return one_unit(models, wavs)

    monkeypatch.setattr(models, "units", units)
    wanted = r"`batch_seconds` must be small enough for the device's memory, but is 8\.0\. .* --batch-seconds"
    with pytest.raises(ValueError, match=wanted):
        job(tmp_path / "full", models, speech_folder, shard_seconds=None)
    assert not list((tmp_path / "full").glob("*.parquet"))
    monkeypatch.setattr(models, "settings", replace(models.settings, batch_seconds=0.1))
    with pytest.raises(ValueError, match=r"batch_seconds was None, now 0\.1"):
        job(tmp_path / "full", models, speech_folder, shard_seconds=None)
    outcome = job(tmp_path / "alone", models, speech_folder, shard_seconds=None)
    assert (outcome.failed, outcome.points[0]["records"]) == (1, 11)
    assert "memory" in (tmp_path / "alone" / "failed.jsonl").read_text()


def test_an_error_of_the_models_is_no_failure_of_an_item(models, speech_folder, tmp_path, monkeypatch):
    def units(wavs):
        raise RuntimeError("device-side assert triggered")

    monkeypatch.setattr(models, "units", units)
    with pytest.raises(RuntimeError, match="device-side assert"):
        job(tmp_path, models, speech_folder)


def test_a_corpus_of_nothing_but_rubbish(models, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.wav").write_bytes(b"x" * 100)
    outcome = job(tmp_path / "out", models, tmp_path / "in")
    assert (outcome.failed, outcome.points[0]["records"], outcome.points[0]["units_per_second"]) == (1, 0, None)
    assert list(shards.read(tmp_path / "out")) == []


def test_several_points_in_one_pass(whole, settings, speech_folder, tmp_path, rows, monkeypatch):
    both = Models(replace(settings, points=((K, LMBDA), (K, 0.0))))
    features, calls = both.features, []
    monkeypatch.setattr(both, "features", lambda wavs: calls.append(len(wavs)) or features(wavs))
    outcome = job(tmp_path, both, speech_folder)
    assert sum(calls) == 12
    assert [Path(point["out"]).name for point in outcome.points] == ["k20-lmbda4", "k20-lmbda0"]
    assert rows(tmp_path / "k20-lmbda4") == rows(whole)
    nearest = list(shards.read(tmp_path / "k20-lmbda0"))
    assert sum(len(r.units) for r in nearest) > outcome.points[0]["units"]
    assert {r.units.operating_point.lmbda for r in nearest} == {0.0}
    (tmp_path / "k20-lmbda0" / "shard-000001.parquet").unlink()
    assert job(tmp_path, both, speech_folder).made == 1
    with pytest.raises(ValueError, match="`points` must be different"):
        Models(replace(settings, points=((K, 1.0), (K, 1.0))))


def test_other_settings_do_not_mix(whole, settings, models, speech_folder, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    other = Models(replace(settings, points=((K, 5.0),)))
    with pytest.raises(ValueError, match=r"was begun otherwise \(operating_point was .*4\.0.*, now .*5\.0"):
        job(out, other, speech_folder)
    with pytest.raises(ValueError, match="dtype was float32, now bfloat16"):
        job(out, Models(replace(settings, dtype="bfloat16")), speech_folder)
    with pytest.raises(ValueError, match="corpus was"):
        job(out, models, speech_folder / "84")
    with pytest.raises(ValueError, match=r"shard_seconds was 0\.5, now None"):
        job(out, models, speech_folder, shard_seconds=None)
    with pytest.raises(ValueError, match="another number of operating points"):
        job(out, Models(replace(settings, points=((K, 5.0), (K, 4.0)))), speech_folder)
    made = {**shards.provenance(whole), "encoder_sha256": "0" * 64}
    shards.write(out / "shard-000001.parquet", shards.read(whole / "shard-000001.parquet"), made)
    with pytest.raises(ValueError, match=r"shard-000001\.parquet was made otherwise \(encoder_sha256 was 000"):
        job(out, models, speech_folder)
    (out / "job.json").unlink()
    with pytest.raises(ValueError, match=r"holds shards, but no job\.json"):
        job(out, models, speech_folder)
    (out / "job.json").write_text("{")
    with pytest.raises(ValueError, match=r"job\.json is damaged"):
        job(out, models, speech_folder)


def test_two_jobs_cannot_write_to_one_folder(whole, models, speech_folder, monkeypatch):
    import filelock

    monkeypatch.setattr(jobs, "SECONDS_TO_WAIT", 0.1)
    with filelock.FileLock(str(whole / ".lock")), pytest.raises(ValueError, match="Another job is writing"):
        job(whole, models, speech_folder)


def test_a_full_disk_stops_the_job_and_costs_nothing(whole, models, speech_folder, content, tmp_path, monkeypatch):
    real, written = os.fsync, []

    def full(handle):
        written.append(handle)
        if len(written) > 12:
            raise OSError(28, "No space left on device")
        real(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            job(tmp_path, models, speech_folder)
    assert not list(tmp_path.rglob("*.part"))
    for path in tmp_path.glob("*.parquet"):
        assert path.read_bytes() == (whole / path.name).read_bytes()
    job(tmp_path, models, speech_folder)
    assert content(tmp_path) == content(whole)


@pytest.mark.parametrize("mount_point_stays", [False, True])
def test_a_vanished_disk_stops_the_job(whole, models, speech_folder, tmp_path, rows, monkeypatch, mount_point_stays):
    folder, away = tmp_path / "disk", tmp_path / "away"
    shutil.copytree(speech_folder, folder)
    written = []

    def vanishing(encoded, target, name):
        stages.write(encoded, target, name)
        written.append(name)
        if len(written) == 2:
            folder.rename(away)
            if mount_point_stays:
                folder.mkdir()

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("slmzoo.corpus.plain.write", vanishing)
        with pytest.raises(FileNotFoundError, match="The inputs are gone"):
            job(out, models, folder)
    assert not list((out / "failed").iterdir())
    with pytest.raises(FileNotFoundError, match="The inputs are gone"):
        job(out, models, folder)
    if mount_point_stays:
        folder.rmdir()
    away.rename(folder)
    assert job(out, models, folder).failed == 0
    assert rows(out) == rows(whole)


def listed(folder: Path, lists: Path, kind: str) -> Path:
    """A manifest of the audio in a folder, that lies elsewhere."""
    files = audio.find(folder)
    recordings = [{"id": f.stem, "duration": 0.5, "sources": [{"type": "file", "source": str(f)}]} for f in files]
    text = {
        "tsv": f"{folder}\n" + "".join(f"{f.relative_to(folder)}\t8000\n" for f in files),
        "csv": "path,seconds\n" + "".join(f"{f},0.3\n" for f in files),
        "jsonl": "".join(json.dumps(row) + "\n" for row in recordings),
    }
    lists.mkdir()
    (lists / f"list.{kind}").write_text(text[kind])
    return lists / f"list.{kind}"


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
@pytest.mark.parametrize("mount_point_stays", [False, True])
def test_a_vanished_disk_of_a_manifest_stops_the_job(models, speech_folder, tmp_path, kind, mount_point_stays):
    folder, away, out = tmp_path / "disk" / "84", tmp_path / "away", tmp_path / "out"
    shutil.copytree(speech_folder / "84", folder)
    manifest = listed(folder, tmp_path / "lists", kind)
    assert job(out, models, manifest).failed == 0
    for shard in ("shard-000000.parquet", "shard-000003.parquet"):
        (out / shard).unlink()
    folder.rename(away)
    if mount_point_stays:
        folder.mkdir()
    with pytest.raises(FileNotFoundError, match="The inputs are gone"):
        job(out, models, manifest)
    assert not list((out / "failed").iterdir())
    if mount_point_stays:
        folder.rmdir()
    away.rename(folder)
    assert job(out, models, manifest).failed == 0


def test_a_disk_that_never_was_there_stops_the_job(models, speech_folder, tmp_path):
    manifest = listed(speech_folder, tmp_path / "lists", "tsv")
    manifest.write_text(manifest.read_text().replace(str(speech_folder), str(tmp_path / "not mounted"), 1))
    with pytest.raises(FileNotFoundError, match=r"The inputs are gone: .*not mounted/84/120 is missing"):
        job(tmp_path / "out", models, manifest)
    assert not (tmp_path / "out" / "job.json").exists()
    gone = [Item(id=name, audio=str(tmp_path / name)) for name in ("a.wav", "b.wav")]
    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(FileNotFoundError, match="none of 2 files is there"):
            stages.read(gone, 16000, [], threads)
        assert [failed.id for failed in stages.read(gone[:1], 16000, [], threads).failed] == ["a.wav"]


def test_a_device_that_gives_no_file_stops_the_job(models, speech_folder, tmp_path, monkeypatch):
    def broken(item):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(stages, "load", broken)
    with pytest.raises(OSError, match="The inputs cannot be read"):
        job(tmp_path, models, speech_folder)
    assert not list(tmp_path.glob("*.parquet"))


def test_one_file_that_vanished_is_a_failure(models, speech_folder, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(speech_folder, folder)
    job(tmp_path / "out", models, folder)
    shutil.rmtree(tmp_path / "out" / "failed")
    for shard in (tmp_path / "out").glob("*.parquet"):
        shard.unlink()
    (folder / "84" / "120" / "84-120-0003.wav").unlink()
    assert job(tmp_path / "out", models, folder).failed == 1


def test_out_may_be_an_object_store(whole, models, speech_folder, rows):
    pytest.importorskip("fsspec")
    out = f"memory://{os.getpid()}-corpus"
    assert job(out, models, speech_folder).failed == 0
    assert rows(out) == rows(whole)
    assert job(out, models, speech_folder).made == 0
    assert places.read_bytes(f"{out}/index.json") == (whole / "index.json").read_bytes()


def test_urls_of_this_machine_are_paths(whole, models, speech_folder, tmp_path, content):
    assert job(f"file://{tmp_path}/deep/er", models, f"file://{speech_folder}").failed == 0
    ours, theirs = content(tmp_path / "deep" / "er"), content(whole)
    assert {**ours, "job.json": b""} == {**theirs, "job.json": b""}
    assert json.loads(ours["job.json"])["roots"] == json.loads(theirs["job.json"])["roots"]
    assert jobs.begun(f"file://{tmp_path}/deep/er")


def test_a_process_that_dies_is_told(models, speech_folder, tmp_path, monkeypatch):
    """The settings cannot be loaded in the processes: their error arrives here."""
    broken = Models(models.settings)
    broken.settings = replace(models.settings, registry=str(tmp_path / "gone.json"))
    monkeypatch.setattr(broken, "provenance", models.provenance)
    with pytest.raises(FileNotFoundError, match=r"No registry at .*gone\.json"):
        job(tmp_path / "out", broken, speech_folder, engine=partial(plain.run, workers=2))


def test_a_device_for_each_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: range(8), raising=False)
    assert plain.devices_for("cuda", None, 10) == ["cuda:0", "cuda:1"]
    assert plain.devices_for("cuda", 3, 10) == ["cuda:0", "cuda:1", "cuda:0"]
    assert plain.devices_for("cpu", 3, 2) == ["cpu"] * 2
    assert plain.devices_for("cpu", 3, 0) == ["cpu"]
    assert [len(plain.devices_for("cpu", None, n)) for n in (0, 7, 8, 1000)] == [1, 1, 2, 8]


def test_blocks_above_the_layer_take_no_memory(models, registry):
    whole = hub.pipeline(zoo="tiny", registry=registry, with_ulm=False, with_speech=False).encoder
    assert len(models.encoder.blocks) == models.points[0].layer < len(whole.blocks)

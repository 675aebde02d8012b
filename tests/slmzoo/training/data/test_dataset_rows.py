"""Streaming of a dataset in the layout of gpt-omni/VoiceAssistant-400K: Parquet shards, audio as a plain struct."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from slmcore import audio
from slmzoo.training.data.dataset_rows import DatasetRows
from slmzoo.training.data.segments import segments_of
from slmzoo.training.loop.fit import fit
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import StepContext, generator
from slmzoo.training.tasks.soundstream import SoundStreamSettings, SoundStreamTask, train
from tests.reference.runs import equal_ends, fit_until_killed, step_of

pytest.importorskip("datasets")
pa = pytest.importorskip("pyarrow")
RATE, ROWS = 8000, 11


def wav_bytes(row: int, samples: int = 1200) -> bytes:
    """A recording whose loudness tells its row."""
    wave = 0.5 * torch.sin(torch.arange(samples) * 0.3) * (row + 1) / ROWS
    file = io.BytesIO()
    soundfile.write(file, wave.numpy(), RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


def dataset(folder: Path, values: dict[int, Any] | None = None, rows: int = ROWS) -> str:
    """Two shards with row groups of two; the name by which the folder is streamed."""
    from pyarrow import parquet

    folder.mkdir()
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for shard, numbers in enumerate((range(min(5, rows)), range(5, rows))):
        content = [(values or {}).get(n, {"bytes": wav_bytes(n), "path": None}) for n in numbers]
        table = pa.table(
            {
                "index": pa.array([f"{n}" for n in numbers]),
                "question": pa.array([f"What is {n}?" for n in numbers]),
                "question_audio": pa.array(content, struct),
                "answer_snac": pa.array(["1 2 3" for _ in numbers]),
            }
        )
        parquet.write_table(table, folder / f"train-{shard:05d}-of-00002.parquet", row_group_size=2)
    return f"{folder}:train"


def row_at(rows: DatasetRows, number: int) -> int:
    """Row whose audio stands at a position of the stream."""
    wav, rate = rows.of_stream(number)
    assert rate == RATE
    return round(float(wav.abs().max()) * 2 * ROWS) - 1


def test_every_pass_brings_every_row_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    rows = DatasetRows(dataset(tmp_path / "set"), "question_audio")
    assert len(rows) == ROWS
    passes = [[row_at(rows, ROWS * passed + n) for n in range(ROWS)] for passed in range(3)]
    assert all(sorted(order) == list(range(ROWS)) for order in passes)
    assert passes[0] != passes[1]
    again = DatasetRows(dataset(tmp_path / "same"))
    assert [row_at(again, n) for n in (30, 4, 17)] == [(passes[0] + passes[1] + passes[2])[n] for n in (30, 4, 17)]
    assert float(rows.read(9)[0].abs().max()) == pytest.approx(0.5 * 10 / ROWS, abs=1e-2)


def test_only_the_row_groups_in_use_are_held(tmp_path: Path) -> None:
    rows = DatasetRows(dataset(tmp_path / "set"))
    for number in range(2 * ROWS):
        rows.of_stream(number)
    about = rows._read_group.cache_info()
    assert about.currsize <= 4
    # Six row groups a pass, each read once.
    assert about.misses <= 12


def test_rows_without_audio_are_skipped_and_named_once(tmp_path: Path, caplog) -> None:
    wrong = {3: None, 4: {"bytes": b"no audio", "path": None}, 7: {"bytes": None, "path": "a.wav"}}
    rows = DatasetRows(dataset(tmp_path / "set", wrong))
    seen = {row_at(rows, n) for n in range(2 * ROWS)}
    assert seen == set(range(ROWS)) - {3, 4, 7}
    assert len(caplog.records) == 3
    assert {record.args[0] for record in caplog.records} == {3, 4, 7}
    assert "huggingface:" in caplog.text


def test_a_dataset_without_any_audio_ends_with_an_error(tmp_path: Path) -> None:
    rows = DatasetRows(dataset(tmp_path / "set", dict.fromkeys(range(ROWS))))
    with pytest.raises(ValueError, match="100 rows in succession without audio"):
        rows.of_stream(0)


def test_what_is_no_such_dataset_is_named(tmp_path: Path, monkeypatch) -> None:
    name = dataset(tmp_path / "set")
    with pytest.raises(ValueError, match=r"`column` must be one of question_audio in .*Give --column"):
        DatasetRows(name, "audio")
    with pytest.raises(ValueError, match=r"`split` must be one of train in .*'dev'"):
        DatasetRows(name.replace(":train", ":dev"))
    with pytest.raises(ValueError, match=r"`dataset` must be NAME\[:CONFIG\]:SPLIT"):
        DatasetRows(name.removesuffix(":train"))
    with pytest.raises(ValueError, match="a dataset with rows"):
        DatasetRows(dataset(tmp_path / "empty", rows=0))
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "train.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match="stored as Parquet files to be streamed"):
        DatasetRows(f"{tmp_path / 'text'}:train")
    with pytest.raises(FileNotFoundError):
        DatasetRows(f"{tmp_path / 'nowhere'}:train")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'slmzoo\[datasets\]'"):
        DatasetRows(name)


def test_a_set_with_two_columns_of_audio_wants_one_of_them(tmp_path: Path) -> None:
    from pyarrow import parquet

    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    value = pa.array([{"bytes": wav_bytes(1), "path": None}], struct)
    (tmp_path / "set").mkdir()
    parquet.write_table(pa.table({"a": value, "b": value}), tmp_path / "set" / "train-0.parquet")
    with pytest.raises(ValueError, match="one of a, b in"):
        DatasetRows(f"{tmp_path / 'set'}:train")
    assert len(DatasetRows(f"{tmp_path / 'set'}:train", "b")) == 1


def settings(run: Path, named: str, held_out: Path, **more: object) -> SoundStreamSettings:
    usual = {
        "audio": [f"huggingface:{named}"], "column": "question_audio", "validation": [f"huggingface:{named}"],
        "steps": 5, "batch": 2, "crop": 1600, "start_crops": 4, "sample_rate": RATE, "strides": (4, 5),
        "n_filters": 4, "dimension": 8, "lstm_layers": 0, "codebook_size": 8, "num_codebooks": 2, "log_every": 1,
        "discriminators": ("multi-scale",), "discriminator_width": 0.02, "save_every": 1, "validate_every": None,
        "samples": 1, "statistics_crops": 2, "device": "cpu", "accumulate": 2,
    }  # fmt: skip
    return SoundStreamSettings(run=run, **{**usual, **more})  # pyright: ignore[reportArgumentType]


def task(chosen: SoundStreamSettings) -> SoundStreamTask:
    sources = [segments_of(named, RATE, chosen.column) for named in (chosen.audio, chosen.validation)]
    return SoundStreamTask(chosen, *sources)


def test_batches_follow_the_stream(tmp_path: Path) -> None:
    named = dataset(tmp_path / "set")
    model, rows = task(settings(tmp_path / "run", named, tmp_path)), DatasetRows(named)
    found = []
    for step in range(4):
        for number in range(2):
            batch = model.batch_at(step, number, generator(0, step, number))
            assert batch["lengths"].tolist() == [1200, 1200]
            found += [round(float(wav.abs().max()) / 0.95 * 2 * ROWS) - 1 for wav in batch["wav"]]
    assert found == [row_at(rows, n) for n in range(16)]


@pytest.mark.parametrize("killed", [1, 3])
def test_a_killed_run_resumes_bit_for_bit_in_the_stream(tmp_path: Path, killed: int) -> None:
    named = dataset(tmp_path / "set")
    whole, stopped = (settings(tmp_path / name, named, tmp_path, resume=True) for name in ("whole", "stopped"))
    fit(task(whole), whole, Run.open(whole))
    fit_until_killed(task(stopped), stopped, "batch_at", lambda step, number, draw: step == killed and number == 1)
    assert step_of(stopped.run) == killed
    fit(task(stopped), stopped, Run.open(stopped))
    equal_ends(whole.run, stopped.run)


def test_a_run_is_not_resumed_on_another_dataset(tmp_path: Path) -> None:
    first = settings(tmp_path / "run", dataset(tmp_path / "set"), tmp_path, steps=1)
    found = train(first)
    assert found["step"] == 1
    assert audio.load(first.run / "samples" / "00-000000000.wav")[0].shape == (1, 1200)
    (tmp_path / "other").mkdir()
    other = dataset(tmp_path / "other" / "set", rows=9)
    with pytest.raises(ValueError, match="of another model"):
        train(settings(tmp_path / "run", other, tmp_path, steps=2, resume=True))


def test_the_loss_of_a_streamed_batch_is_finite(tmp_path: Path) -> None:
    model = task(settings(tmp_path / "run", dataset(tmp_path / "set"), tmp_path))
    total, _ = model.loss("codec", model.batch_at(0, 0, generator(0, 0)), StepContext(0, generator(0, 1)))
    assert bool(torch.isfinite(total))

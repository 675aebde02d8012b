from __future__ import annotations

import gzip
import json
import sys
import types
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import soundfile
import torch

from slmcore import audio
from slmcore.files import places
from slmzoo.corpus import items, sources, stages
from slmzoo.corpus.hf_datasets import loaded
from slmzoo.corpus.items import Item
from tests.reference.corpora import named, tar_of, wav_bytes


def test_a_folder(speech_folder):
    found = named(speech_folder)
    assert [item.id for item in found] == [f"84/12{i // 6}/84-12{i // 6}-{i:04d}" for i in range(12)]
    assert {(item.speaker, item.chapter) for item in found} == {("84", "84/120"), ("84", "84/121")}
    wav, sr = items.load(found[3])
    assert (wav.shape, sr) == ((1, 7200), 16000)
    assert found[3].probable == pytest.approx(7200 / 16000, abs=0.01)


def test_other_folders_tell_the_chapter_only(tmp_path):
    for name in ("talks/day1/x.wav", "top.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(wav_bytes())
    assert [(i.id, i.speaker, i.chapter) for i in named(tmp_path)] == [
        ("talks/day1/x", None, "talks/day1"),
        ("top", None, None),
    ]


def test_chapters_of_different_books_stay_apart(tmp_path):
    for name in ("bookA/01/x.wav", "bookB/01/x.wav", "bookB/y.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(wav_bytes())
    apart = ["bookA/01", "bookB/01", "bookB"]
    files = [tmp_path / "bookA/01/x.wav", tmp_path / "bookB/01/x.wav", tmp_path / "bookB/y.wav"]
    (tmp_path / "a.tsv").write_text(f"{tmp_path}\n" + "".join(f"{f.relative_to(tmp_path)}\t800\n" for f in files))
    (tmp_path / "a.csv").write_text("path\n" + "".join(f"{f.relative_to(tmp_path)}\n" for f in files))
    tar_of(tmp_path / "a.tar", {str(f.relative_to(tmp_path)): f.read_bytes() for f in files})
    lists = ([tmp_path / f"a.{kind}"] for kind in ("tsv", "csv", "tar"))
    for corpus in ([tmp_path], [tmp_path / "book*"], [tmp_path / "bookA", tmp_path / "bookB"], files, *lists):
        assert sorted(str(item.chapter) for item in named(*corpus)) == sorted(apart), corpus
    (tmp_path / "a.csv").write_text("path,speaker,chapter\nbookA/01/x.wav,me,\nbookA/01/x.wav,me,mine\n")
    assert [(item.speaker, item.chapter) for item in named(tmp_path / "a.csv")] == [("me", None), ("me", "mine")]


def test_chapters_of_object_stores_stay_apart():
    pytest.importorskip("fsspec")
    url = f"memory://{uuid.uuid4().hex}"
    for name in ("bookA/01/x.wav", "bookB/01/x.wav"):
        places.write_bytes(f"{url}/{name}", wav_bytes())
    for corpus in ([url], [f"{url}/bookA", f"{url}/bookB/"], [f"{url}/bookA/01/x.wav", f"{url}/bookB"]):
        assert [item.chapter for item in named(*corpus)] == ["bookA/01", "bookB/01"]


def test_files_patterns_and_equal_names(speech_folder, tmp_path):
    file = speech_folder / "84" / "120" / "84-120-0000.wav"
    assert [item.id for item in named(file)] == ["84-120-0000"]
    pattern = speech_folder / "84" / "*" / "*-000[0-2].wav"
    assert [item.id for item in named(pattern)] == ["84-120-0000", "84-120-0001", "84-120-0002"]
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for suffix in (".wav", ".flac"):
            (tmp_path / folder / f"x{suffix}").write_bytes(wav_bytes())
    assert [i.id for i in named(tmp_path / "a", tmp_path / "b")] == ["x", "x-2", "x-3", "x-4"]
    names = [i.id for i in items.named_apart([Item(id=n, audio="") for n in ("x", "x-2", "x", "x")])]
    assert names == ["x", "x-2", "x-3", "x-4"]


def test_names_that_are_no_text(tmp_path):
    source = {"type": "file", "source": "a.wav"}
    row = {"id": 7, "duration": 1, "sources": [source]}
    cut = {"id": "\udcff", "start": 0, "duration": 1, "supervisions": [{"speaker": 3}], "recording": {**row, "id": 8}}
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(x) + "\n" for x in (row, cut, {**row, "id": ""})))
    found = [(item.id, item.speaker, item.chapter) for item in named(tmp_path / "a.jsonl")]
    assert found == [("7", None, None), ("\\udcff", "3", "8"), ("unnamed", None, None)]


@pytest.mark.parametrize("what", ["nothing", "empty", "no audio", "no match"])
def test_what_names_nothing(tmp_path, what):
    (tmp_path / "empty").mkdir()
    (tmp_path / "no audio").mkdir()
    (tmp_path / "no audio" / "a.txt").write_text("x")
    source = tmp_path / ("*.wav" if what == "no match" else what)
    with pytest.raises(FileNotFoundError, match=f"{what if what != 'no match' else 'wav'}"):
        named(source)


def test_a_fairseq_manifest(speech_folder, tmp_path):
    lines = "".join(f"{p.relative_to(speech_folder)}\t4800\n" for p in audio.find(speech_folder))
    (tmp_path / "train.tsv").write_text(f"{speech_folder}\n{lines}")
    found = named(tmp_path / "train.tsv")
    assert [item.id for item in found] == [item.id for item in named(speech_folder)]
    assert items.load(found[0])[0].shape == (1, 4800)
    assert (found[0].chapter, found[0].probable) == ("84/120", 0.3)
    (tmp_path / "bad.tsv").write_text(f"{speech_folder}\na.wav 4800\n")
    with pytest.raises(ValueError, match=r"bad\.tsv, line 2, must be `relative/path<TAB>samples`"):
        named(tmp_path / "bad.tsv")


def test_a_csv_file(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes(1.0))
    text = f'path,id,start,seconds,speaker\na.wav,,,,me\n{tmp_path}/a.wav,"one, two",0.25,0.5,\n'
    (tmp_path / "list.csv").write_text(text)
    whole, part = named(tmp_path / "list.csv")
    assert (whole.id, whole.speaker, items.load(whole)[0].shape) == ("a", "me", (1, 8000))
    assert (part.id, part.speaker) == ("one, two", None)
    assert torch.equal(items.load(part)[0], items.load(whole)[0][:, 2000:6000])
    for bad in ("file\na.wav\n", "path,start\na.wav,soon\n", "path\n\n,\n"):
        (tmp_path / "list.csv").write_text(bad)
        with pytest.raises((ValueError, FileNotFoundError), match=r"list\.csv"):
            named(tmp_path / "list.csv")


def test_lengths_that_a_list_does_not_tell(tmp_path):
    """An hour is not planned as 15 seconds, or a shard would hold hundreds."""
    soundfile.write(tmp_path / "a.flac", torch.zeros(8000 * 60).numpy(), 8000)
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    (tmp_path / "list.csv").write_text("path,start\na.flac,\na.flac,45\na.flac,90\nbad.wav,\ngone.wav,\n")
    assert [item.probable for item in named(tmp_path / "list.csv")] == [60, 15, 0, 0, 0]


def test_lengths_of_files_in_an_object_store():
    pytest.importorskip("fsspec")
    url = f"memory://{uuid.uuid4().hex}"
    places.write_bytes(f"{url}/deep/a.wav", b"x" * 320_000)
    places.write_bytes(f"{url}/list.csv", b"path\ndeep/a.wav\ndeep/gone.wav\nno/a.wav\n")
    assert [item.probable for item in named(f"{url}/list.csv")] == [10, 0, 0]


def test_parts_that_are_not_there(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes(1.0))
    for start, seconds, message in (
        (0.5, 1.0, "holds only 0.50 s"),
        (2.0, 1.0, r"begins at 2 s, but .*a\.wav lasts 1\.00 s"),
    ):
        with pytest.raises(ValueError, match=message):
            items.load(Item(id="a", audio=str(tmp_path / "a.wav"), start=start, seconds=seconds))
    with pytest.raises(ValueError, match="has 1 channels and none with the number 1"):
        items.load(Item(id="a", audio=str(tmp_path / "a.wav"), channel=1))


@pytest.mark.parametrize("packed", [False, True])
def test_lhotse_recordings_and_cuts(tmp_path, packed):
    (tmp_path / "a.wav").write_bytes(wav_bytes(1.0))
    source = {"type": "file", "channels": [0], "source": str(tmp_path / "a.wav")}
    recording = {"id": "r1", "sources": [source], "sampling_rate": 8000, "num_samples": 8000, "duration": 1.0}
    supervision = {"id": "s", "recording_id": "r1", "start": 0.0, "duration": 0.5, "channel": 0, "speaker": "me"}
    cut = {
        "id": "c1",
        "start": 0.25,
        "duration": 0.5,
        "channel": 0,
        "supervisions": [supervision],
        "recording": recording,
    }
    text = "".join(json.dumps(row) + "\n" for row in (recording, {**cut, "type": "MonoCut"}))
    place = tmp_path / ("cuts.jsonl.gz" if packed else "cuts.jsonl")
    place.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    whole, part = named(place)
    assert (whole.id, items.load(whole)[0].shape) == ("r1", (1, 8000))
    assert (part.id, part.speaker, part.chapter, items.load(part)[0].shape) == ("c1", "me", "r1", (1, 4000))


@pytest.mark.parametrize(
    "row", ["not json", "3", '{"id": "x"}', '{"id": "x", "duration": 1, "sources": [{"type": "url", "source": "y"}]}']
)
def test_other_lines_are_refused(tmp_path, row):
    (tmp_path / "a.jsonl").write_text(row + "\n")
    with pytest.raises(ValueError, match=r"a\.jsonl, line 1, must be a Lhotse recording or a cut"):
        named(tmp_path / "a.jsonl")


def test_a_webdataset(tmp_path):
    members = {
        "./a/1.wav": wav_bytes(0.1),
        "./a/1.json": b'{"speaker": 7, "text": "x"}',
        "./a/2.cls": b"1",
        "./b/3.seg.flac": wav_bytes(0.2),
    }
    tar = tar_of(tmp_path / "0.tar", members)
    one, three = named(tar)
    assert [(i.id, i.speaker, items.load(i)[0].shape[1]) for i in (one, three)] == [
        ("a/1", "7", 800),
        ("b/3", None, 1600),
    ]
    tar_of(tmp_path / "1.tar", {"c.wav": wav_bytes(0.3)})
    assert [i.id for i in named(tmp_path / "*.tar")] == ["a/1", "b/3", "c"]


def test_damaged_tars(tmp_path):
    content = tar_of(tmp_path / "a.tar", {f"{i}.wav": wav_bytes() for i in range(4)}).read_bytes()
    for bad in (content[: len(content) // 2 - 300], gzip.compress(content), b"x" * 2000):
        (tmp_path / "a.tar").write_bytes(bad)
        with pytest.raises((ValueError, FileNotFoundError), match=r"a\.tar"):
            for item in named(tmp_path / "a.tar"):
                items.load(item)


def test_an_object_store():
    pytest.importorskip("fsspec")
    url = f"memory://{uuid.uuid4().hex}"
    for name in ("b/x.wav", "a.wav", "notes.txt"):
        places.write_bytes(f"{url}/{name}", wav_bytes())
    assert [(item.id, item.chapter) for item in named(url)] == [("a", None), ("b/x", "b")]
    assert [item.id for item in named(f"{url}/b/x.wav")] == ["x"]
    assert items.load(named(url)[1])[0].shape == (1, 800)


def test_patterns_in_an_object_store(tmp_path):
    pytest.importorskip("fsspec")
    url = f"memory://{uuid.uuid4().hex}"
    for name in ("b/x.wav", "b/y.txt", "c/x.wav"):
        places.write_bytes(f"{url}/{name}", wav_bytes())
    places.write_bytes(f"{url}/t/0.tar", tar_of(tmp_path / "0.tar", {"z.wav": wav_bytes()}).read_bytes())
    assert [(item.id, item.chapter) for item in named(f"{url}/*/x.wav")] == [("x", "b"), ("x-2", "c")]
    assert [(item.id, item.chapter) for item in named(f"{url}/[bc]*")] == [("x", "b"), ("x-2", "c")]
    (found,) = named(f"{url}/t/*.tar")
    assert (found.id, items.load(found)[0].shape) == ("z", (1, 800))
    with pytest.raises(FileNotFoundError, match="no file, folder or pattern that matches"):
        named(f"{url}/*.wav")
    with pytest.raises(FileNotFoundError, match=r"holds no audio. It holds .tar files: name them, as in '.*/t/\*.tar'"):
        named(f"{url}/t")


def test_a_folder_of_tars_is_told_how_to_name_them(tmp_path):
    tar_of(tmp_path / "0.tar", {"a.wav": wav_bytes()})
    with pytest.raises(FileNotFoundError, match=r"holds no audio. It holds .tar files: name them, as in '.*/\*.tar'"):
        named(tmp_path)


class Arrow:
    """Rows as tables."""

    def __init__(self, rows) -> None:
        self.rows = rows

    def __getitem__(self, which: slice):
        return pytest.importorskip("pyarrow").Table.from_pylist(list(self.rows[which]))


class Rows(list):
    """As much of `datasets.Dataset` as is used."""

    features: dict

    @property
    def column_names(self) -> list[str]:
        return list(self[0])

    def select_columns(self, names) -> Rows:
        return Rows({name: row[name] for name in names} for row in self)

    def with_format(self, name) -> Arrow:
        assert name == "arrow"
        return Arrow(self)

    def cast_column(self, name, feature) -> Rows:
        assert (name, feature.decode) == ("sound", False)
        return self


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    """A stand-in for the library, which is large."""
    (tmp_path / "b.wav").write_bytes(wav_bytes(0.2))
    sounds = [{"bytes": wav_bytes(0.1), "path": None}, {"bytes": None, "path": str(tmp_path / "b.wav")}]
    rows = Rows({"sound": sound, "id": f"u{i}", "speaker_id": 9} for i, sound in enumerate(sounds))
    audio_type = type("Audio", (), {"__init__": lambda self, decode=True: setattr(self, "decode", decode)})
    rows.features = {"sound": audio_type(), "id": None, "speaker_id": None}
    asked = []
    module = types.SimpleNamespace(Dataset=Rows, Audio=audio_type, load_from_disk=lambda folder: rows)
    module.load_dataset = lambda *names, split: asked.append((*names, split)) or rows
    monkeypatch.setitem(sys.modules, "datasets", module)
    loaded.cache_clear()
    yield asked
    loaded.cache_clear()


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("owner/name:train[:10]", ("owner/name", "train[:10]")),
        ("owner/name:clean:train[10%:20%]+test[:5]", ("owner/name", "clean", "train[10%:20%]+test[:5]")),
    ],
)
def test_a_part_of_a_split(datasets, name, asked):
    assert len(named(f"huggingface:{name}")) == 2
    assert datasets == [asked]


def test_a_dataset(datasets, tmp_path):
    found = named("huggingface:owner/name:clean:train.100")
    assert datasets == [("owner/name", "clean", "train.100")]
    assert [(i.id, i.speaker, i.row) for i in found] == [("u0", "9", 0), ("u1", "9", 1)]
    assert [items.load(i)[0].shape[1] for i in found] == [800, 1600]
    assert [i.probable for i in found] == [pytest.approx(len(wav_bytes(0.1)) / 8000, abs=0.01), 0.2]
    assert len(named(f"huggingface:{tmp_path}")) == 2
    with pytest.raises(ValueError, match=r"NAME\[:CONFIG\]:SPLIT"):
        named("huggingface:owner/name")


def test_rows_without_audio_fail_alone(datasets):
    rows = sys.modules["datasets"].load_from_disk("")
    rows.extend({"sound": sound, "id": None, "speaker_id": None} for sound in (None, {"bytes": None, "path": None}))
    found = named("huggingface:owner/name:train")
    assert [(item.id, item.probable > 0) for item in found] == [
        ("u0", True),
        ("u1", True),
        ("000000002", False),
        ("000000003", False),
    ]
    with ThreadPoolExecutor(1) as threads:
        decoded = stages.read(found, 8000, [], threads)
    assert [item.id for item in decoded.items] == ["u0", "u1"]
    assert [(failure.id, failure.reason) for failure in decoded.failed] == [
        (f"00000000{i}", f"huggingface:owner/name:train, row {i}, holds no audio: `sound` is null.") for i in (2, 3)
    ]


def test_datasets_need_their_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'slmzoo\[datasets\]'"):
        named("huggingface:owner/name:train")


def test_roots(speech_folder, tmp_path):
    corpus = [speech_folder, speech_folder / "84" / "*" / "*.wav", tmp_path / "x.tsv", "huggingface:a:b", "s3://a/b"]
    lists = [Item(id=str(i), audio=str(speech_folder / "84" / f"12{i}" / "x.wav")) for i in range(2)]
    elsewhere = [Item(id="r", audio="a:b", row=1), Item(id="u", audio="s3://a/b/c.wav"), Item(id="gone", audio="/no/x")]
    found = sources.roots([str(s) for s in corpus], lists + elsewhere)
    assert found == sorted([str(speech_folder), f"{speech_folder}/84"])
    assert sources.roots([str(tmp_path / "x.tsv")], lists + elsewhere) == [f"{speech_folder}/84"]


def test_items_survive_their_line():
    item = Item(id="ü\n", audio="a b", start=0.1, speaker="s", row=3)
    assert Item.from_json(item.to_json()) == item
    assert "\n" not in item.to_json()

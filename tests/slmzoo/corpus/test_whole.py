"""Nothing that lies in the inputs is lost without a word, nothing is taken twice, and what is no audio is refused."""

from __future__ import annotations

import os
import subprocess
import threading
import uuid
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from slmcore.files import places
from slmzoo.corpus import items, sources
from slmzoo.corpus.items import Item
from slmzoo.corpus.sources import Corpus
from tests.reference.corpora import named, tar_of, wav_bytes
from tests.reference.programs import needs_ffmpeg


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(wav_bytes())
    return folder


def ids(*corpus) -> list[str]:
    return [item.id for item in named(*corpus)]


def test_linked_folders_and_names_of_one_file(tmp_path):
    put(tmp_path / "else", "s2/b.wav")
    corpus = put(tmp_path / "corpus", "s1/a.wav")
    (corpus / "s2").symlink_to("../else/s2", target_is_directory=True)
    (corpus / "s1" / "twin.wav").symlink_to("a.wav")
    (corpus / "s1" / "up").symlink_to(corpus, target_is_directory=True)
    (corpus / "s1" / "gone.wav").symlink_to("nowhere.wav")
    found = named(corpus)
    assert [item.id for item in found] == ["s1/a", "s1/gone", "s1/twin", "s2/b"]
    with pytest.raises(FileNotFoundError, match=r"s1/gone\.wav"):
        items.load(found[1])


def test_overlapping_inputs_are_taken_once(tmp_path, monkeypatch):
    corpus = put(tmp_path / "corpus", "s1/a.wav", "s2/b.wav")
    monkeypatch.chdir(tmp_path)
    for corpora in (
        [corpus, corpus / "s1", corpus / "s1" / "a.wav", corpus / "*" / "*.wav"],
        ["corpus", corpus, "./corpus/", corpus.as_uri()],
    ):
        assert ids(*corpora) == ["s1/a", "s2/b"]
    tar_of(tmp_path / "0.tar", {"x.wav": wav_bytes()})
    (tmp_path / "l.csv").write_text("path,start\ncorpus/s1/a.wav,0\ncorpus/s1/a.wav,0.05\n")
    assert ids("0.tar", "*.tar", "l.csv", tmp_path / "l.csv") == ["x", "corpus/s1/a", "corpus/s1/a-2"]
    with pytest.raises(FileNotFoundError, match="holds no audio"):
        ids("corpus", put(tmp_path / "empty", "notes.txt"))


def test_places_are_the_same_from_everywhere(tmp_path, monkeypatch):
    put(tmp_path, "in/a.wav")
    (tmp_path / "l.tsv").write_text("in\na.wav\t100\n")
    (tmp_path / "l.csv").write_text("path\nin/a.wav\n")
    zipped = zipfile.ZipFile(tmp_path / "z.zip", "w")
    zipped.write(tmp_path / "in" / "a.wav", "a.wav")
    zipped.close()
    monkeypatch.chdir(tmp_path)
    for source in ("in", "in/*.wav", "in/a.wav", "l.tsv", "l.csv"):
        (item,) = named(source)
        assert item.audio == str(tmp_path / "in" / "a.wav"), source
    (item,) = named("zip://::z.zip")
    monkeypatch.chdir("/")
    assert items.load(item)[0].shape == (1, 800)
    assert sources.absolute("huggingface:owner/name:train") == "huggingface:owner/name:train"
    monkeypatch.chdir(tmp_path)
    assert sources.absolute("huggingface:in:train[:10]") == f"huggingface:{tmp_path}/in:train[:10]"


def left_out_of(*corpus) -> dict[str, int]:
    looked = Corpus(map(str, corpus))
    list(looked.items())
    return dict(looked.left_out.counts)


def test_what_is_left_out_is_counted(tmp_path):
    corpus = put(tmp_path / "corpus", "a.wav", "B.WAV", "s/a.trans.txt", "s/b.txt", "s/README", "s/.x", "c.xyz")
    os.mkfifo(corpus / "pipe.wav")
    assert ids(corpus) == ["B", "a"]
    assert left_out_of(corpus) == {".txt": 2, ".xyz": 1, "without an ending": 2, ".wav": 1}
    assert left_out_of(corpus / "*.wav", corpus / "s*" / "*", corpus / "a*") == {".txt": 2, ".wav": 1}
    looked = Corpus([str(corpus)])
    list(looked.items())
    assert f"2 .txt ({corpus}/s/a.trans.txt), 1 .xyz ({corpus}/c.xyz)" in str(looked.left_out)
    tar = tar_of(tmp_path / "0.tar", {"a.wav": wav_bytes(), "a.txt": b"x", "b.xyz": b"x", "b.txt": b"x"})
    assert left_out_of(tar) == {".xyz": 1, ".txt": 1}
    with pytest.raises(FileNotFoundError, match=r"holds no audio\. These are not audio: 1 \.xyz \(.*c\.xyz\)\."):
        named(put(tmp_path / "other", "c.xyz"))


def test_what_is_left_out_of_an_object_store_is_counted():
    pytest.importorskip("fsspec")
    url = f"memory://{uuid.uuid4().hex}"
    for name in ("a.wav", "b.xyz", "d/c.txt"):
        places.write_bytes(f"{url}/{name}", wav_bytes())
    assert left_out_of(url) == {".xyz": 1, ".txt": 1}
    assert left_out_of(f"{url}/*") == {".xyz": 1, ".txt": 1}
    assert ids(url, f"{url}/a.wav", f"{url}/*.wav") == ["a"]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("t.tar.gz", "Decompress it to a .tar"),
        ("T.TGZ", "Decompress it to a .tar"),
        ("z.zip", "name it as zip://::"),
        ("a.wav.gz", "Decompress it"),
        ("l.txt", "Lists of audio are .tsv"),
        ("l.json", ".jsonl (Lhotse)"),
        ("d.parquet", "huggingface:FOLDER"),
    ],
)
def test_what_surely_is_no_audio_is_refused(tmp_path, name, remedy):
    put(tmp_path, name)
    with pytest.raises(ValueError, match=r"is not an audio file") as error:
        named(tmp_path / name)
    assert name in str(error.value)
    assert remedy in str(error.value)
    url = f"memory://{uuid.uuid4().hex}/{name}"
    places.write_bytes(url, b"x")
    with pytest.raises(ValueError, match=r"is not an audio file"):
        named(url)


def test_a_file_that_is_named_may_have_any_other_ending(tmp_path):
    assert ids(put(tmp_path, "a.pcm") / "a.pcm") == ["a"]


def test_gzipped_lists(tmp_path):
    import gzip

    put(tmp_path, "a.wav")
    for name, text in (("l.tsv.gz", f"{tmp_path}\na.wav\t10\n"), ("l.csv.gz", "path\na.wav\n")):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
        assert ids(tmp_path / name) == ["a"]


def test_names_of_a_tar_say_which_file_they_are(tmp_path):
    members = [
        "spk.1/utt.0001.wav",
        "spk.1/utt.0002.wav",
        "u1.left.wav",
        "u1.right.wav",
        "u2.wav",
        "u2.flac",
        "u3.a.wav",
    ]
    contents = {name: wav_bytes(0.1 + 0.1 * i) for i, name in enumerate(members)}
    found = named(tar_of(tmp_path / "0.tar", {**contents, "./u4.wav": wav_bytes()}))
    assert [item.id for item in found] == [
        *("spk.1/utt.0001", "spk.1/utt.0002", "u1.left", "u1.right", "u2.wav", "u2.flac", "u3", "u4")
    ]
    assert [item.member for item in found] == [*members, "./u4.wav"]
    assert [items.load(item)[0].shape[1] for item in found[:-1]] == [800 * (i + 1) for i in range(len(members))]
    again = named(tar_of(tmp_path / "1.tar", {"a.1.wav": wav_bytes(), "b.wav": wav_bytes(), "a.2.wav": wav_bytes()}))
    assert [item.id for item in again] == ["a.1", "b", "a.2"]
    with pytest.raises(ValueError, match=r"1\.tar: a\.1\.wav has 1 channels"):
        items.load(Item(**{**again[0].__dict__, "channel": 3}))


def m4a_in(folder: Path) -> bytes:
    """Half a second as m4a, made by ffmpeg."""
    folder.mkdir(exist_ok=True)
    (folder / "x.wav").write_bytes(wav_bytes(0.5, 16000))
    command = ["ffmpeg", "-v", "error", "-i", str(folder / "x.wav"), str(folder / "x.m4a")]
    subprocess.run(command, check=True)
    return (folder / "x.m4a").read_bytes()


@needs_ffmpeg
def test_what_ffmpeg_reads_is_audio_in_folders_lists_and_tars(tmp_path, monkeypatch):
    content = m4a_in(tmp_path / "in")
    (tmp_path / "in" / "x.wav").unlink()
    tar = tar_of(tmp_path / "0.tar", {"x.m4a": content, "x.json": b"{}"})
    (tmp_path / "l.csv").write_text("path\nin/x.m4a\n")
    for source in (tmp_path / "in", tmp_path / "in" / "*", tar, tmp_path / "l.csv"):
        (item,) = named(source)
        assert item.probable == pytest.approx(len(content) / 8000, abs=0.01)
        wav, sr = items.load(item)
        assert (sr, wav.shape[1] / sr) == (16000, pytest.approx(0.5, abs=0.1))
    monkeypatch.setenv("PATH", str(tmp_path))
    (item,) = named(tar)
    with pytest.raises(ValueError, match=r"0\.tar: x\.m4a .*install ffmpeg"):
        items.load(item)


@pytest.fixture
def web(tmp_path) -> Iterator[str]:
    """A server of the loopback for the folder `web`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = partial(Quiet, directory=str(tmp_path / "web"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_urls_with_queries_and_escapes(tmp_path, web):
    pytest.importorskip("aiohttp")
    put(tmp_path / "web", "c.wav", "sub dir/a b.wav", "sub dir/per%20c.wav", "sub dir/n.txt", "get")
    (item,) = named(f"{web}/c.wav?token=1/x.zip")
    assert (item.id, items.load(item)[0].shape) == ("c", (1, 800))
    assert [(item.id, item.chapter) for item in named(f"{web}/get?id=5")] == [("get", None)]
    found = named(f"{web}/sub%20dir", f"{web}/c.wav")
    assert [(item.id, item.chapter) for item in found] == [("a b", "sub dir"), ("per%20c", "sub dir"), ("c", None)]
    assert [items.load(item)[0].shape for item in found] == [(1, 800)] * 3
    assert left_out_of(f"{web}/sub%20dir") == {".txt": 1}
    (tmp_path / "web" / "l.csv").write_text("path\nc.wav\n")
    (item,) = named(f"{web}/l.csv?token=2")
    assert places.path_in(item.audio).endswith("/c.wav")


def test_urls_that_are_not_there(tmp_path, web):
    pytest.importorskip("aiohttp")
    put(tmp_path / "web", "n.txt")
    for name in ("gone.wav", "gone.csv", "gone.tar", "gone/"):
        with pytest.raises(FileNotFoundError, match=f"{name}"):
            named(f"{web}/{name}")
    with pytest.raises(FileNotFoundError, match=r"gone\.wav\?a=b was not found"):
        named(f"{web}/gone.wav?a=b")
    with pytest.raises(OSError, match=r"127\.0\.0\.1:1/a\.wav"):
        named("http://127.0.0.1:1/a.wav")


def test_archives_are_corpora(tmp_path):
    pytest.importorskip("fsspec")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name in ("d/s1/x.wav", "d/s2/x.wav", "d/n.txt", "a.wav"):
            archive.writestr(name, wav_bytes())
    chained = f"::{tmp_path}/z.zip"
    assert [(i.id, i.chapter) for i in named(f"zip://{chained}")] == [
        ("a", None),
        ("d/s1/x", "d/s1"),
        ("d/s2/x", "d/s2"),
    ]
    assert [(i.id, i.chapter) for i in named(f"zip://d{chained}")] == [("s1/x", "s1"), ("s2/x", "s2")]
    assert ids(f"zip://*.wav{chained}") == ["a"]
    assert ids(f"zip://d/*/*.wav{chained}") == ["x", "x-2"]
    assert [items.load(item)[0].shape for item in named(f"zip://d/s2/x.wav{chained}")] == [(1, 800)]
    assert left_out_of(f"zip://d{chained}") == {".txt": 1}
    with pytest.raises(FileNotFoundError, match=r"zip://e::.*z\.zip was not found"):
        named(f"zip://e{chained}")

"""Lists of utterances as other tools, editors and people write them."""

from __future__ import annotations

import gzip
import json
import time

import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from slmzoo.corpus import items
from slmzoo.corpus.items import Item
from tests.reference.corpora import named


@pytest.fixture
def stereo(tmp_path):
    """Two seconds at 8 kHz: 200 Hz in the first channel, 900 Hz in the second."""
    t = torch.arange(16000) / 8000
    sound = torch.stack([torch.sin(2 * torch.pi * f * t) for f in (200, 900)], 1)
    soundfile.write(tmp_path / "a.wav", sound.numpy() / 2, 8000)
    return tmp_path / "a.wav"


def tone_of(item: Item) -> float:
    """The frequency in Hz that is loudest."""
    wav, sr = items.load(item)
    return float(torch.fft.rfft(wav[0]).abs().argmax()) * sr / wav.shape[1]


def test_a_channel_is_the_one_that_is_named(stereo):
    assert [tone_of(Item(id="a", audio=str(stereo), channel=c)) for c in (0, 1)] == [200, 900]
    both, _ = items.load(Item(id="a", audio=str(stereo)))
    spectrum = torch.fft.rfft(both[0]).abs()
    assert spectrum[400] == pytest.approx(float(spectrum[1800]), rel=1e-3)
    with pytest.raises(ValueError, match="has 2 channels and none with the number 2"):
        items.load(Item(id="a", audio=str(stereo), channel=2))


def cut_of(stereo, channel: object, held: object = (0, 1), **more: object) -> dict:
    source = {"type": "file", "source": str(stereo), **({} if held is None else {"channels": list(held)})}
    recording = {"id": "r", "duration": 2.0, "sources": [source]}
    return {"id": "c", "start": 0.0, "duration": 2.0, "channel": channel, "recording": recording, **more}


def lines_of(path, *rows: dict):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("channel", "held", "tone"),
    [(0, (0, 1), 200), (1, (0, 1), 900), ([1], (0, 1), 900), (5, (3, 5), 900), (1, None, 900)],
)
def test_channels_of_cuts_are_those_of_the_recording(stereo, tmp_path, channel, held, tone):
    (item,) = named(lines_of(tmp_path / "a.jsonl", cut_of(stereo, channel, held)))
    assert tone_of(item) == tone


def test_cuts_of_all_channels_are_their_mean_and_others_refused(stereo, tmp_path):
    (item,) = named(lines_of(tmp_path / "a.jsonl", cut_of(stereo, [0, 1])))
    assert item.channel is None
    for channel, held in (([0, 1], (0, 1, 2)), (2, (0, 1)), ([0, 1], None)):
        with pytest.raises(ValueError, match=r"a\.jsonl, line 2, must be a cut of one channel"):
            named(lines_of(tmp_path / "a.jsonl", cut_of(stereo, 0), cut_of(stereo, channel, held)))


SPEED = {"name": "Speed", "kwargs": {"factor": 1.1}}
RESAMPLE = {"name": "Resample", "kwargs": {"source_sampling_rate": 8000, "target_sampling_rate": 16000}}


def test_transforms_are_refused_and_resampling_is_none(stereo, tmp_path):
    whole = cut_of(stereo, 0)["recording"]
    for row in (
        {**whole, "transforms": [RESAMPLE, SPEED]},
        cut_of(stereo, 0, transforms=[SPEED]),
        {**cut_of(stereo, 0), "recording": {**whole, "transforms": [SPEED]}},
    ):
        with pytest.raises(ValueError, match=r"a\.jsonl, line 3, must be .*without the transforms Speed \(save the tr"):
            lines_of(tmp_path / "a.jsonl", whole, whole, row)
            named(tmp_path / "a.jsonl")
    found = named(lines_of(tmp_path / "a.jsonl", {**whole, "transforms": [RESAMPLE]}, {**whole, "transforms": None}))
    assert len(found) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_byte_order_mark_is_no_part_of_the_text(stereo, tmp_path, encoding, packed):
    texts = {
        "l.tsv": f"{stereo.parent}\r\na.wav\t32000\r\n",
        "l.csv": "path,start\r\na.wav,0.5\r\n",
        "l.jsonl": json.dumps(cut_of(stereo, 0)) + "\n",
    }
    for name, text in texts.items():
        content = text.encode(encoding)
        (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
        (item,) = named(tmp_path / name)
        assert items.load(item)[1] == 8000


def test_text_of_another_encoding_says_how_to_save_it(tmp_path):
    (tmp_path / "l.csv").write_bytes("path\na.wav\n".encode("utf-16"))
    with pytest.raises(ValueError, match=r"l\.csv is not UTF-8 text, .* Save it as UTF-8"):
        named(tmp_path / "l.csv")


def test_blank_lines_are_counted(tmp_path):
    (tmp_path / "l.tsv").write_text(f"\n{tmp_path}\n\n \na.wav\t100\nb.wav 100\n")
    with pytest.raises(ValueError, match=r"l\.tsv, line 6, must be"):
        named(tmp_path / "l.tsv")
    (tmp_path / "l.csv").write_text("path,start\n\n  \na.wav,0\n\na.wav,x\n")
    with pytest.raises(ValueError, match=r"l\.csv, line 6, must be a part with numbers"):
        named(tmp_path / "l.csv")
    (tmp_path / "l.jsonl").write_text("\n\n3\n")
    with pytest.raises(ValueError, match=r"l\.jsonl, line 3, must be"):
        named(tmp_path / "l.jsonl")


def test_a_list_without_its_root_is_refused(tmp_path):
    (tmp_path / "l.tsv").write_text("a.wav\t100\nb.wav\t100\n")
    with pytest.raises(ValueError, match=r"l\.tsv, line 1, must be the folder that all paths start from"):
        named(tmp_path / "l.tsv")


def test_space_in_a_header_is_no_part_of_the_names(stereo, tmp_path):
    (tmp_path / "l.csv").write_text('path, start, seconds , id\na.wav, 0.5, 0.25, "one, two"\na.wav,1\n')
    part, rest = named(tmp_path / "l.csv")
    assert (part.id, items.load(part)[0].shape, items.load(rest)[0].shape) == ("one, two", (1, 2000), (1, 8000))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("path,start,end", "a column `end`: write `seconds`, how long the part lasts instead, or leave it out"),
        ("path,offset,seconds", "a column `offset`: write `start` instead"),
        ("path, Duration", "a column `Duration`: write `seconds` instead"),
        ("path,Start", "a column `Start`: write `start` instead"),
        ("path;start", "must be a header with `path`"),
        ("path,start,start", "each column once"),
        ("file,start", "must be a header with `path`"),
    ],
)
def test_columns_that_would_change_the_audio_are_not_ignored(stereo, tmp_path, header, message):
    (tmp_path / "l.csv").write_text(f"{header}\na.wav,0.5,1.0\n")
    with pytest.raises(ValueError, match=r"l\.csv, line 1, ") as error:
        named(tmp_path / "l.csv")
    assert message in str(error.value)


def test_other_columns_are_named(stereo, tmp_path, caplog):
    (tmp_path / "l.csv").write_text("path,text,split\na.wav,hello,train\n")
    assert len(named(tmp_path / "l.csv")) == 1
    assert f"{tmp_path}/l.csv: these columns are not used: text, split." in caplog.text
    caplog.clear()
    (tmp_path / "l.csv").write_text("path,id,start,seconds,speaker,chapter\na.wav,x,0,1,s,c\n")
    assert len(named(tmp_path / "l.csv")) == 1
    assert not caplog.messages


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.wav,-0.5,1", "begins at a finite number of seconds >= 0"),
        ("a.wav,nan,1", "begins at a finite number of seconds >= 0"),
        ("a.wav,inf,1", "begins at a finite number of seconds >= 0"),
        ("a.wav,0,inf", "lasts a finite number of seconds > 0"),
        ("a.wav,0,nan", "lasts a finite number of seconds > 0"),
        ("a.wav,0,0", "lasts a finite number of seconds > 0"),
        ("a.wav,0,-1", "lasts a finite number of seconds > 0"),
        ("a.wav,0,1,2", "no more values than the header has"),
    ],
)
def test_parts_that_cannot_be_are_refused_with_their_line(stereo, tmp_path, row, message):
    (tmp_path / "l.csv").write_text(f"path,start,seconds\na.wav,0,1\n{row}\n")
    with pytest.raises(ValueError, match=r"l\.csv, line 3, must be ") as error:
        named(tmp_path / "l.csv")
    assert message in str(error.value)
    assert row in str(error.value)


def test_cuts_that_cannot_be_are_refused_with_their_line(stereo, tmp_path):
    for change in ({"start": -1.0}, {"duration": 0.0}, {"duration": float("inf")}):
        with pytest.raises(ValueError, match=r"a\.jsonl, line 1, must be a part that"):
            named(lines_of(tmp_path / "a.jsonl", {**cut_of(stereo, 0), **change}))


def smallest_free(names: list[str]) -> list[str]:
    """The rule, word by word: all but the first of a name get the smallest number, from 2, that is free."""
    taken: list[str] = []
    for name in names:
        found, number = name, 1
        while found in taken:
            number += 1
            found = f"{name}-{number}"
        taken.append(found)
    return taken


@given(st.lists(st.sampled_from(["a", "a-2", "a-3", "a-2-2", "b", "b-2"]), max_size=30))
def test_names_are_the_smallest_that_are_free(names):
    assert [i.id for i in items.named_apart(Item(id=n, audio="") for n in names)] == smallest_free(names)


def test_many_of_one_name_take_linear_time():
    began = time.process_time()
    found = [item.id for item in items.named_apart(Item(id="x", audio="") for _ in range(30_000))]
    assert time.process_time() - began < 10  # a minute and more where each counts from 2
    assert (found[0], found[-1]) == ("x", "x-30000")

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from slmcore import audio
from slmzoo import cli
from slmzoo.evaluation import SpeechMetrics, Spoken, TokenTask, evaluate_tokens
from slmzoo.evaluation.slmtokbench.tokens import Tokenizer
from slmzoo.evaluation.units.text_information import ProbeConfig
from tests.reference import goldens
from tests.reference.uslm import tiny, zoo

TINY = ProbeConfig(dim=8, hidden=8, layers=1, batch=8, lr=3e-2, steps=60)
SILENT = TokenTask(probe=TINY, metrics=SpeechMetrics(names=()))
WORDS = ("a", "b", "ab", "ba", "b a", "a b a", "bb", "aa b", "a a", "b ab")


def listener(texts: dict[str, str]) -> Tokenizer:
    """Two streams: noise, and the text itself, three frames for each symbol; the wav holds the number of its name."""
    names = sorted(texts)

    def encode(wav: torch.Tensor, sr: int) -> torch.Tensor:
        number = round(float(wav[0, 0]) * 1000)
        text = torch.tensor(["ab ".index(symbol) for symbol in texts[names[number]]]).repeat_interleave(3)
        noise = torch.randint(3, text.shape, generator=torch.Generator().manual_seed(number))
        return torch.stack([noise, text])

    def speak(wav: torch.Tensor, sr: int, tokens: torch.Tensor) -> tuple[torch.Tensor, int]:
        draw = torch.Generator().manual_seed(0)
        return wav if len(tokens) == 2 else wav + torch.randn(wav.shape, generator=draw), sr

    return Tokenizer(streams=2, size=3, encode=encode, speak=speak, vectors=torch.eye(8)[:6].view(2, 3, 8))


@pytest.fixture
def data(tmp_path: Path) -> Spoken:
    """Thirty recordings to train on and ten to score; each begins with its number in thousandths."""
    texts = {f"{'train' if i < 30 else 'test'}-{i:02d}": WORDS[i % len(WORDS)] for i in range(40)}
    speech, sr = goldens.speech()
    files: dict[str, Path] = {}
    for number, name in enumerate(sorted(texts)):
        wav = speech[:, number * 500 : number * 500 + 16000].clone()
        wav[0, 0] = number / 1000
        files[name] = tmp_path / f"{name}.wav"
        audio.write(files[name], wav, sr)
    parts = ({n: f for n, f in files.items() if n.startswith(split)} for split in ("train", "test"))
    return Spoken(**dict(zip(("train", "test"), parts, strict=True)), texts=texts)


def values(found) -> dict[tuple[str, str], float]:
    return {(score.metric, score.subset["tokens"]): score.interval.value for score in found.scores}


def test_text_in_the_second_stream_is_found_with_both(data, tmp_path):
    found = evaluate_tokens(listener(dict(data.texts)), data, tmp_path / "out", SILENT)
    value = values(found)
    assert set(value) == {
        (metric, label)
        for metric in ("text_information", "text_information_by_symbol", "probe_wer", "probe_cer")
        for label in ("RVQ-1", "RVQ-1:2")
    }
    assert value["text_information", "RVQ-1:2"] > value["text_information", "RVQ-1"] + 1
    assert value["probe_wer", "RVQ-1:2"] < 0.2
    assert value["probe_wer", "RVQ-1"] > 0.5
    rows = found.tables["probe_wer"]
    right = [row["heard"] == data.texts[row["item"].rpartition("/")[2]] for row in rows if row["tokens"] == "RVQ-1:2"]
    assert sum(right) >= 8
    assert len({row["item"] for row in rows}) == len(rows) == 20
    assert set(found.models) == {"probe RVQ-1", "probe RVQ-1:2"}
    assert (found.conventions["embedding"], found.conventions["streams"]) == ("random", "embeddings added")


def test_probes_are_kept_and_levels_are_chosen(data, tmp_path):
    task = replace(SILENT, levels=(2,), probe=replace(TINY, steps=3))
    first = evaluate_tokens(listener(dict(data.texts)), data, tmp_path / "out", task)
    (kept,) = (tmp_path / "out").glob("probe-*/probe.pt")
    stamp = kept.stat().st_mtime_ns
    again = evaluate_tokens(listener(dict(data.texts)), data, tmp_path / "out", task)
    assert values(first) == values(again)
    assert {label for _, label in values(first)} == {"RVQ-1:2"}
    assert kept.stat().st_mtime_ns == stamp


def test_an_embedding_may_start_from_the_code_vectors(data, tmp_path):
    made = listener(dict(data.texts))
    task = replace(SILENT, embedding="codebook", probe=replace(TINY, dim=5, steps=1))
    evaluate_tokens(made, data, tmp_path / "out", task)
    sizes = [
        torch.load(file, weights_only=True)["probe"]["embedding.weight"]
        for file in (tmp_path / "out").glob("*/probe.pt")
    ]
    (one, two) = sorted(sizes, key=len)
    assert (tuple(one.shape), tuple(two.shape)) == ((3, 8), (6, 8))
    assert float((two - torch.eye(8)[:6]).abs().max()) < 0.1
    with pytest.raises(ValueError, match="random for a tokenizer without code vectors"):
        evaluate_tokens(replace(made, vectors=None), data, tmp_path / "out", task)


def test_resynthesis_is_measured_beside_the_originals(data, tmp_path):
    task = replace(
        SILENT,
        probe=replace(TINY, steps=1),
        utterances=3,
        metrics=SpeechMetrics(names=("similarity", "stoi"), speaker_model="ltas"),
    )
    found = evaluate_tokens(listener(dict(data.texts)), data, tmp_path / "out", task)
    value = values(found)
    for metric in ("similarity", "stoi"):
        assert value[metric, "RVQ-1:2"] == pytest.approx(1, abs=1e-3)
        assert value[metric, "RVQ-1"] < 0.9
    folder = tmp_path / "out" / "resynthesis"
    names = {file.stem for file in (folder / "RVQ-1").glob("*.wav")}
    assert len(names) == 3
    assert names <= set(data.test)
    assert {file.stem for file in (folder / "original").glob("*.wav")} == names
    assert found.conventions["speaker_model"] == "ltas"
    shouting = replace(listener(dict(data.texts)), speak=lambda wav, sr, tokens: (wav.flip(1), sr))
    other = values(evaluate_tokens(shouting, data, tmp_path / "out", replace(task, utterances=2)))
    assert other["stoi", "RVQ-1:2"] < 0.9  # wavs of an earlier run are not taken
    assert len(list((folder / "RVQ-1").glob("*.wav"))) == 2
    mute = evaluate_tokens(replace(listener(dict(data.texts)), speak=None), data, tmp_path / "out", task)
    assert not {metric for metric, _ in values(mute)} & {"similarity", "stoi"}


def test_recordings_without_a_text_are_problems(data, tmp_path):
    texts = {name: text for name, text in data.texts.items() if name not in ("test-30", "train-01")}
    problems_seen: list[dict] = []
    task = replace(SILENT, levels=(1,), probe=replace(TINY, steps=1))
    some = replace(data, texts=texts)
    evaluate_tokens(
        listener(dict(data.texts)), some, tmp_path, task, check=lambda problems: problems_seen.append(dict(problems))
    )
    assert problems_seen[0] == {"missing texts": ["test-30", "train-01"]}


def test_the_command_scores_a_codec_of_folders(capsys, tmp_path):
    registry = zoo(tmp_path, tiny())
    wav, sr = goldens.speech()
    transcripts = []
    for i in range(6):
        folder = tmp_path / ("train" if i < 4 else "test")
        folder.mkdir(exist_ok=True)
        audio.write(folder / f"r{i}.wav", wav[:, i * 9000 : i * 9000 + 16000], sr)
        transcripts.append(f"r{i} {WORDS[i + 4]}\n")
    (tmp_path / "said.txt").write_text("".join(transcripts))
    given = ["--train", tmp_path / "train", "--test", tmp_path / "test", "--transcripts", tmp_path / "said.txt"]
    options = ["--zoo", "mine", "--registry", registry, "--steps", 2, "--hidden", 8, "--batch", 2, "--lr", 0.01]
    call = [str(word) for word in ("eval", "slmtokbench", *given, *options, "--out", tmp_path / "out", "--json")]
    assert cli.main([*call, "--metrics", "stoi", "similarity", "--levels", "1", "3"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["subset"]["tokens"] for row in rows} == {"RVQ-1", "RVQ-1:3"}
    assert {row["metric"] for row in rows} >= {"text_information", "probe_wer", "stoi", "similarity"}
    content = json.loads((tmp_path / "out" / "slmtokbench.json").read_text())
    assert (content["conventions"]["zoo"], content["conventions"]["streams_there"]) == ("mine", 4)
    assert {"speechtokenizer", "probe RVQ-1", "speaker_model"} <= set(content["models"])
    assert cli.main([*call, "--levels", "5"]) == 2
    assert "`levels` must be from 1 to 4" in capsys.readouterr().err
    assert cli.main([*call[:4], *call[8:]]) == 2
    assert "--train, --test and --transcripts, or none of them" in capsys.readouterr().err
    assert cli.main([*call, "--metrics", "none", "--embedding", "codebook"]) == 0

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch

from slmcore import shards
from slmcore.files.digests import sha256_of
from slmcore.shards import Record
from slmcore.units import Units
from slmzoo.cli import main
from slmzoo.evaluation.units.text_information import (
    Probe,
    ProbeConfig,
    bound,
    loglikelihoods,
    recognised,
    train,
    undecided,
)

TINY = ProbeConfig(dim=8, hidden=8, layers=1, batch=8, lr=3e-2, steps=60)


@pytest.fixture
def probe() -> Probe:
    torch.manual_seed(0)
    return Probe(4, 3, TINY).eval()


def collapsed(path: tuple[int, ...]) -> list[int]:
    return [symbol for symbol, _ in itertools.groupby(path) if symbol]


def test_likelihood_is_the_sum_over_all_paths(probe):
    x, texts = torch.tensor([0, 3, 1, 2]), [torch.tensor(y) for y in ([1], [2, 2], [1, 2, 3, 1, 1], [3, 1])]
    log_probs = probe([x])[0].detach().double()
    found = loglikelihoods(probe, x, texts).tolist()
    for value, text in zip(found, texts, strict=True):
        paths = [p for p in itertools.product(range(4), repeat=4) if collapsed(p) == text.tolist()]
        total = sum(math.exp(sum(float(log_probs[t, s]) for t, s in enumerate(p))) for p in paths)
        assert value == pytest.approx(math.log(total) if total else -math.inf, abs=1e-5)


def test_sequences_do_not_feel_their_batch(probe):
    sequences = [torch.tensor([0, 1, 2, 3, 3]), torch.tensor([2, 1])]
    together = probe(sequences)
    for row, alone in zip(together, sequences, strict=True):
        assert torch.allclose(row[: len(alone)], probe([alone])[0], atol=1e-6)


def test_bound_is_its_definition(probe):
    tokens = [torch.tensor(x) for x in ([0, 1, 2, 3], [3, 3, 1], [0, 2, 2, 1, 0])]
    texts = [torch.tensor(y) for y in ([1, 2], [3], [1, 2, 3, 1])]
    found = bound(probe, tokens, texts)
    for i, x in enumerate(tokens):
        likely = loglikelihoods(probe, x, texts)
        fitting = likely[likely.isfinite()]
        assert float(found.information[i]) == pytest.approx(float(likely[i] - fitting.mean()))
        assert float(found.possible[i]) == len(fitting) / 3
    assert found.possible.tolist() == pytest.approx([1, 2 / 3, 1])
    assert found.symbols.tolist() == [2, 1, 4]
    drawn = bound(probe, tokens, texts, most=1, seed=3)
    assert drawn.others.tolist() == bound(probe, tokens, texts, most=1, seed=3).others.tolist()
    assert undecided(tokens, texts) == []
    assert undecided(tokens, texts, most=1, seed=1) == [1]
    assert bound(probe, tokens, texts, most=1, seed=1).information.isnan().tolist() == [False, True, False]
    with pytest.raises(ValueError, match="at least 3"):
        bound(probe, [torch.tensor([0, 1])], [torch.tensor([1, 1])])


def test_tokens_that_tell_the_text_hold_more_information(tmp_path):
    """Of tokens that are the text, and of tokens that are not."""
    draw = torch.Generator().manual_seed(0)
    texts = [torch.randint(1, 4, (int(n),), generator=draw) for n in torch.randint(2, 5, (40,), generator=draw)]
    telling = [text.repeat_interleave(3) for text in texts]
    silent = [torch.randint(0, 4, (len(x),), generator=draw) for x in telling]
    values = {}
    for name, tokens in (("telling", telling), ("silent", silent)):
        torch.manual_seed(0)
        made = Probe(4, 3, TINY)
        train(made, tokens[:30], texts[:30], TINY, tmp_path / name)
        values[name] = float(bound(made, tokens[30:], texts[30:]).information.mean())
    assert values["telling"] > 3
    assert values["telling"] > values["silent"] + 2


def test_training_goes_on_and_refuses_what_cannot_be_trained_on(tmp_path):
    texts, tokens = [torch.tensor([1, 2])], [torch.tensor([0, 0, 1, 1])]
    short = ProbeConfig(dim=4, hidden=4, layers=1, batch=2, lr=1e-2, steps=2)
    torch.manual_seed(0)
    made = Probe(2, 2, short)
    train(made, tokens, texts, short, tmp_path)
    state = {name: value.clone() for name, value in made.state_dict().items()}
    torch.manual_seed(1)
    again = Probe(2, 2, short)
    train(again, tokens, texts, short, tmp_path)
    assert all(torch.equal(again.state_dict()[name], value) for name, value in state.items())
    with pytest.raises(ValueError, match="tokens"):
        train(made, [torch.tensor([0])], texts, short, tmp_path / "none")


def about_shard(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": sha256_of(path)}


def test_a_draw_of_impossible_texts_is_refused_with_names(tmp_path, capsys):
    def record(name: str, frames: int) -> Record:
        return Record(name, Units.from_framewise(torch.arange(frames) % 6, 50.0), 320, 16000)

    about = {"operating_point": "null", "frame_rate": "50.0"}
    shards.write(str(tmp_path / "train.parquet"), [record("a", 30)], about)
    shards.write(str(tmp_path / "test.parquet"), [record("brief", 2), record("b1", 30), record("b2", 30)], about)
    (tmp_path / "said.txt").write_text("a abcd\nbrief ab\nb1 abcd\nb2 abcd\n")
    files = (tmp_path / "train.parquet", tmp_path / "test.parquet", "--transcripts", tmp_path / "said.txt")
    call = ["eval", "text-information", *files, "--steps", 1, "--hidden", 4, "--out", tmp_path / "out", "--against"]
    seed = next(s for s in range(9) if undecided([torch.arange(2)], [torch.arange(n) for n in (2, 4, 4)], 1, s))
    assert main([str(word) for word in (*call, 1, "--seed", seed)]) == 2
    assert "`against` must be enough texts" in (errors := capsys.readouterr().err)
    assert "but is 1. Draw more: brief has none." in errors
    assert main([str(word) for word in (*call, 3, "--seed", seed)]) == 0
    assert main([str(word) for word in (*call, -1)]) == 2
    assert "`against` must be a number of texts >= 1, but is -1" in capsys.readouterr().err


def test_command_names_what_it_leaves_out_and_takes_up_its_probe_again(tmp_path, capsys):
    draw = torch.Generator().manual_seed(0)

    def record(name: str, frames: int) -> Record:
        return Record(name, Units.from_framewise(torch.randint(0, 6, (frames,), generator=draw), 50.0), 320, 16000)

    about = {"operating_point": "null", "frame_rate": "50.0"}
    shards.write(str(tmp_path / "train.parquet"), [record(f"a{i}", 12) for i in range(4)], about)
    held_out = [record("b0", 12), record("b1", 14), record("brief", 2), record("strange", 9), record("mute", 9)]
    shards.write(str(tmp_path / "test.parquet"), held_out, about)
    lines = [f"a{i} ab ba" for i in range(4)] + ["b0 ab", "b1 ba ab", "brief aabb", "strange zzz"]
    (tmp_path / "said.txt").write_text("\n".join(lines))
    files = (tmp_path / "train.parquet", tmp_path / "test.parquet", "--transcripts", tmp_path / "said.txt")
    settings = ("--steps", 2, "--hidden", 4, "--batch", 2, "--out", tmp_path / "out")
    call = [str(word) for word in ("eval", "text-information", *files, *settings)]
    assert main(call) == 2
    errors = capsys.readouterr().err
    assert all(name in errors for name in ("brief", "strange", "mute"))
    assert main([*call, "--allow-missing"]) == 0
    content = json.loads((tmp_path / "out" / "text-information.json").read_text())
    information, by_symbol = content["scores"]
    assert (information["items"], by_symbol["unit"]) == (2, "nats/symbol")
    (probe,) = (tmp_path / "out").glob("probe-*/probe.pt")
    assert content["models"] == {
        "probe": {"file": f"{probe.parent.name}/probe.pt", "sha256": sha256_of(probe)},
        "train": {**about_shard(files[0]), "operating_point": None},
        "test": {**about_shard(files[1]), "operating_point": None},
    }
    written = probe.stat().st_mtime_ns
    assert main([*call, "--allow-missing"]) == 0
    assert probe.stat().st_mtime_ns == written
    assert json.loads((tmp_path / "out" / "text-information.json").read_text()) == content
    assert main([str(x) for x in ("eval", "text-information", files[0], files[0], *files[2:])]) == 2
    assert "in common" in capsys.readouterr().err


def test_streams_are_embedded_one_by_one_and_added():
    torch.manual_seed(0)
    made = Probe(4, 3, TINY, streams=2).eval()
    assert made.embedding.num_embeddings == 8
    tokens = torch.tensor([[0, 3, 1], [2, 0, 3]])
    rows = made.embedding.weight[torch.tensor([0, 3, 1])] + made.embedding.weight[4 + torch.tensor([2, 0, 3])]
    wanted = made.output(made.lstm(rows[None])[0]).log_softmax(-1)
    assert torch.allclose(made([tokens]), wanted, atol=1e-6)
    together = made([tokens, tokens[:, :2]])
    assert torch.allclose(together[1, :2], made([tokens[:, :2]])[0], atol=1e-6)
    swapped = made([tokens.flip(0)])
    assert not torch.allclose(swapped, wanted, atol=1e-3)


def test_an_embedding_starts_from_vectors_of_its_shape():
    vectors = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1))
    made = Probe(4, 3, TINY, 2, vectors)
    assert torch.equal(made.embedding.weight[4 + 1], vectors[1, 1])
    for wrong in (vectors[:1], vectors[:, :3], vectors[..., :7]):
        with pytest.raises(ValueError, match="`vectors` must be of "):
            Probe(4, 3, TINY, 2, wrong)


def test_recognised_symbols_are_the_collapsed_likeliest_path(probe):
    tokens = torch.tensor([0, 3, 1, 2, 2, 0, 1])
    assert recognised(probe, tokens) == collapsed(tuple(probe([tokens])[0].argmax(-1).tolist()))
    with torch.no_grad():
        probe.output.bias += torch.tensor([0.0, 0.0, 50.0, 0.0])
    assert recognised(probe, tokens) == [2]
    with torch.no_grad():
        probe.output.bias += torch.tensor([99.0, 0.0, 0.0, 0.0])
    assert recognised(probe, tokens) == []

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import Checkpoint
from slmcore.units import Codes
from speechtokenizer.uslm import USLM, PhoneTokenizer, USLMConfig, load
from tests.reference.recipe import recipe_tensor

CONFIG = USLMConfig(
    dim=16, heads=2, layers=2, nar_dim=12, nar_heads=3, nar_layers=1, num_codebooks=3, codebook_size=10, text_size=20
)
TEXT = torch.tensor([1, 7, 3, 11, 2])


def small(end: float = 0.0, **changes) -> USLM:
    """A model by recipe; `end` is added to the logit of the end by way of a constant hidden feature."""
    config = dataclasses.replace(CONFIG, **changes)
    model = USLM(config)
    state = {name: 3 * recipe_tensor(name, tuple(value.shape)) for name, value in model.state_dict().items()}
    for level in range(2, config.num_codebooks):
        state[f"nar.audio.{level}.weight"] = state[f"nar.outputs.{level - 2}.weight"]
    state["ar.output.weight"][config.end] *= end
    return USLM.from_checkpoint(Checkpoint(kind="uslm", config=config.to_dict(), state=state))


def prompt(frames: int = 4, levels: int = 3, size: int = 10) -> Codes:
    draw = torch.Generator().manual_seed(frames)
    return Codes(torch.randint(size, (levels, frames), generator=draw), 50.0, size)


def greedy(model: USLM, text: torch.Tensor, given: torch.Tensor) -> list[list[int]]:
    """Every level of the new frames, from whole passes without a cache."""
    first: list[int] = []
    while len(first) <= 16 * len(text) - model.config.prepend_bos:
        so_far = torch.cat([given[0], torch.tensor(first, dtype=torch.int64)])
        best = int(model([text], [so_far[None]], 0)[0][-1].argmax())
        if best == model.config.end:
            break
        first.append(best)
    codes = torch.cat([given, torch.zeros(model.config.num_codebooks, len(first), dtype=torch.int64)], 1)
    codes[0, given.shape[1] :] = torch.tensor(first)
    for level in range(1, model.config.num_codebooks):
        codes[level, given.shape[1] :] = model([text], [codes], level)[0][given.shape[1] :].argmax(-1)
    return codes[:, given.shape[1] :].tolist()


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("end", [0.0, 1.2])
def test_with_the_cache_is_without(start: bool, end: float):
    model = small(end, prepend_bos=start)
    for frames in (4, 1):
        found = model.generate(TEXT, prompt(frames), temperature=0)
        assert found.codes.tolist() == greedy(model, TEXT, prompt(frames).codes)
        assert len(found) == 80 + (not start) or end
    assert start == (len(model.ar.audio.weight) == 12)


def test_a_start_code_needs_no_prompt():
    model = small(prepend_bos=True)
    assert model.generate(TEXT, prompt(0), temperature=0).codes.tolist() == greedy(model, TEXT, prompt(0).codes)
    with pytest.raises(ValueError, match="at least one frame long"):
        small().generate(TEXT, prompt(0))


def test_speech_that_ends_at_once_has_no_frames():
    model = small(prepend_bos=True)
    with torch.no_grad():
        hidden = model.ar.hidden(model.ar.ids(TEXT, torch.tensor([11]))[None], torch.tensor([[5]]))[0, -1]
        model.ar.output.weight[10] = hidden * 100
    found = model.generate(TEXT, prompt(0), temperature=0)
    assert found.codes.shape == (3, 0)
    assert found.frame_rate == 50.0


def test_samples_follow_the_seed():
    model = small()
    made = [model.generate(TEXT, prompt(), seed=seed).codes.tolist() for seed in (3, 3, 4)]
    assert made[0] == made[1] != made[2]
    nucleus = model.generate(TEXT, prompt(), top_p=0.0).codes
    assert torch.equal(nucleus, model.generate(TEXT, prompt(), top_k=1).codes)


def test_a_likeliest_end_ends_speech_whatever_is_sampled():
    model, given, stopped = small(0.9), prompt().codes, 0
    for seed in range(30):
        made = model.generate(TEXT, prompt(), seed=seed, temperature=2.0).codes[:1]
        best = model([TEXT], [torch.cat([given[:1], made], 1)], 0)[0][given.shape[1] - 1 :].argmax(-1)
        assert not (best[:-1] == model.config.end).any()
        stopped += int(best[-1]) == model.config.end
    assert stopped > 3


@pytest.mark.parametrize("mode", [2, 4])
def test_some_modes_want_the_length_of_the_prompts_text(mode: int):
    model = small(prefix_mode=mode)
    made = [model.generate(TEXT, prompt(), prompt_text_length=n, temperature=0).codes for n in (2, 4)]
    assert torch.equal(made[0][0], made[1][0])
    assert not torch.equal(made[0], made[1])
    for wrong in (None, 1, 5):
        with pytest.raises(ValueError, match=f"from 2 to 4 ids in prefix mode {mode}, but is {wrong}"):
            model.generate(TEXT, prompt(), prompt_text_length=wrong)


def test_a_batch_holds_what_each_utterance_is_alone():
    model = small().double()
    texts, codes = [TEXT, TEXT[:3]], [prompt(6).codes, prompt(9).codes]
    for level in range(3):
        together = model(texts, codes, level)
        for i in range(2):
            assert torch.allclose(together[i], model(texts[i : i + 1], codes[i : i + 1], level)[0], atol=1e-9)


def test_every_weight_can_be_trained():
    model = small().train()
    sum(model([TEXT], [prompt().codes], level)[0].square().sum() for level in range(3)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.abs().sum() > 0) or name.endswith("qkv.bias"), name


def test_shared_embeddings_stay_shared_through_a_file(tmp_path: Path):
    model = small()
    model.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert loaded.config == CONFIG
    assert loaded.nar.audio[2].weight is loaded.nar.outputs[0].weight
    assert all(torch.equal(loaded.state_dict()[key], value) for key, value in model.state_dict().items())
    apart = small(share_embedding=False)
    assert apart.nar.audio[2].weight is not apart.nar.outputs[0].weight


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        (TEXT[:2], prompt(), "one or more phones between begin and end"),
        (TEXT[None], prompt(), "one or more phones"),
        (TEXT.float(), prompt(), "one or more phones"),
        (torch.tensor([1, 20, 2]), prompt(), "ids from 0 to 19, but is a tensor with ids from 1 to 20"),
        (torch.tensor([1, -1, 2]), prompt(), "ids from -1 to 2"),
        (TEXT, prompt(levels=2), "of 3 codebooks of 10, but is a prompt of 2 codebooks of 10"),
        (TEXT, prompt(size=11), "codebooks of 11"),
    ],
)
def test_what_cannot_be_spoken_is_named(text, given, message):
    with pytest.raises(ValueError, match=message):
        small().generate(text, given)


def test_files_of_another_kind_are_refused(tmp_path: Path):
    for i, wrong in enumerate([{"weight": torch.zeros(1)}, {"model": {}}, [1]]):
        torch.save(wrong, tmp_path / f"{i}.pt")
        with pytest.raises(CheckpointError, match="no published USLM"):
            load(tmp_path / f"{i}.pt")
    for change in ({"heads": 3}, {"prefix_mode": 3}, {"layers": 0}, {"num_codebooks": 1}, {"colour": 1}):
        with pytest.raises(CheckpointError, match="does not describe a USLM"):
            USLMConfig.from_dict(CONFIG.to_dict() | change)


def test_symbols_of_another_table_are_named(tmp_path: Path):
    tokenizer = PhoneTokenizer(["b", "a"])
    assert tokenizer.encode(["a", "b", "a"]).tolist() == [1, 3, 4, 3, 2]
    with pytest.raises(ValueError, match="symbols of the table, but is 'ʒ θ'"):
        tokenizer.encode(["θ", "a", "ʒ"])
    (tmp_path / "table").write_text("a 1\nb\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2"):
        PhoneTokenizer.from_k2(tmp_path / "table")

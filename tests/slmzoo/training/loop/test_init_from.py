from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ellav import EllaV, EllaVTokenizer
from mistral_ulm import UnitLM
from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import save
from slmcore.layers.transformer import TransformerConfig
from slmzoo.training.loop.init_from import Trainable, initialise_from
from tests.reference.wavlm import small_model
from wavtokenizer import WavTokenizer, WavTokenizerConfig

SIZES = TransformerConfig(dim=16, n_layers=1, head_dim=8, hidden_dim=32, n_heads=2, n_kv_heads=1, vocab_size=11)


def ulm(**other: object) -> UnitLM:
    return UnitLM(replace(SIZES, **other))  # pyright: ignore[reportArgumentType]


def ellav(codes: int = 12, **other: object) -> EllaV:
    tokenizer = EllaVTokenizer.for_units(5, codes, 50, 40)
    return EllaV(replace(SIZES, vocab_size=tokenizer.vocab_size, output_bias=True, **other), tokenizer)  # pyright: ignore[reportArgumentType]


def codec(**other: object) -> WavTokenizer:
    sizes = {"sample_rate": 16000, "strides": (8, 5, 5), "n_filters": 4, "dimension": 8, "codebook_size": 16}
    decoder = {"decoder_dim": 32, "decoder_intermediate": 32, "decoder_layers": 1, "n_fft": 800}
    return WavTokenizer(WavTokenizerConfig(**{**sizes, **decoder, **other}))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("make", [ulm, ellav, codec, small_model])
def test_the_weights_are_those_of_the_file(make: Callable[[], Trainable], tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = make().checkpoint()
    save(tmp_path / "first.safetensors", first)
    torch.manual_seed(2)
    second = make()
    initialise_from(None, second)
    initialise_from(str(tmp_path / "first.safetensors"), second)
    assert all(torch.equal(value, first.state[name]) for name, value in second.checkpoint().state.items())


def test_dropout_is_no_size(tmp_path: Path) -> None:
    save(tmp_path / "first.safetensors", ulm().checkpoint())
    initialise_from(str(tmp_path / "first.safetensors"), ulm(dropout=0.5))


@pytest.mark.parametrize(
    ("file", "model", "named"),
    [
        (ulm(), ulm(n_layers=2), r"`init` must be a model with \{'n_layers': 2\}, but is \{'n_layers': 1\}"),
        (codec(), codec(n_fft=1000), "n_fft"),
        (ellav(), ellav(codes=13), "vocab_size"),
    ],
)
def test_other_sizes_are_named(file: Trainable, model: Trainable, named: str, tmp_path: Path) -> None:
    save(tmp_path / "file.safetensors", file.checkpoint())
    with pytest.raises(ValueError, match=named):
        initialise_from(str(tmp_path / "file.safetensors"), model)


def test_other_kinds_and_no_file_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "file.safetensors", codec().checkpoint())
    with pytest.raises(CheckpointError, match="wavtokenizer"):
        initialise_from(str(tmp_path / "file.safetensors"), ulm())
    with pytest.raises(FileNotFoundError):
        initialise_from(str(tmp_path / "nowhere.safetensors"), ulm())

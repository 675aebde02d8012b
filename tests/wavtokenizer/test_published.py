from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import wavtokenizer
from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import save
from tests.reference import wavtokenizer as oracle
from tests.reference.recipe import recipe_state

SIZES = {"filters": 4, "dimension": 16, "codes": 24, "dim": 64, "intermediate": 40, "layers": 2}
STRIDES = (4, 3, 2)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    state = recipe_state(oracle.published_shapes(STRIDES, **SIZES))
    # Spread over the unit sphere of the latents, so that a wrong latent shows as a wrong code.
    state[oracle.CODEBOOK + "embed"] *= 2
    return state


@pytest.fixture(scope="module")
def model(state: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> wavtokenizer.WavTokenizer:
    path = tmp_path_factory.mktemp("published") / "small.ckpt"
    torch.save({"state_dict": state | {"discriminator.weight": torch.zeros(2)}, "epoch": 1}, path)
    return wavtokenizer.load(path)


def test_every_size_is_read_off_the_weights(model):
    assert dataclasses.asdict(model.config) == {
        "sample_rate": 24000,
        "strides": STRIDES,
        "n_filters": 4,
        "dimension": 16,
        "codebook_size": 24,
        "decoder_dim": 64,
        "decoder_intermediate": 40,
        "decoder_layers": 2,
        "n_fft": 96,
    }
    assert (model.hop, model.frame_rate, model.num_codes) == (24, 1000.0, 24)
    assert model.operating_point is None


@pytest.mark.parametrize("samples", [481, 600, 2400, 2411])
def test_encode_is_the_oracles(model, state, samples):
    wav = torch.randn(1, samples, generator=torch.Generator().manual_seed(samples)) * 0.3
    codes = model.encode(wav, 24000)
    expected = oracle.encode(state, wav[0], STRIDES)
    assert codes.shape == (1, 1, -(-samples // 24))
    assert (codes[0, 0] != expected).float().mean() < 0.02
    assert len(expected.unique()) > 3


@pytest.mark.parametrize("frames", [1, 2, 7, 40])
def test_decode_is_the_oracles(model, state, frames):
    codes = torch.randint(24, (frames,), generator=torch.Generator().manual_seed(frames))
    wav, rate = model.decode(codes[None, None])
    expected = oracle.decode(state, codes, 24)
    assert rate == 24000
    assert wav.shape == (1, frames * 24)
    assert np.abs(wav[0].numpy() - expected).max() < 1e-4 * expected.std()


def test_both_spellings_of_weight_norm_load_alike(model, state, tmp_path: Path):
    spelled = {
        k.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): v
        for k, v in state.items()
    }
    torch.save({"state_dict": spelled}, tmp_path / "new.ckpt")
    again = wavtokenizer.load(tmp_path / "new.ckpt")
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_only_what_is_used_is_kept(model, state):
    kept = sum(v.numel() for v in model.state_dict().values())
    dropped = ("feature_extractor.encodec.decoder", "head.istft", oracle.CODEBOOK)
    used = sum(v.numel() for k, v in state.items() if not k.startswith(dropped) and not k.endswith("weight_g"))
    unused_rows = sum(3 * v[0].numel() for k, v in state.items() if k.endswith((".scale.weight", ".shift.weight")))
    assert kept == used - unused_rows + SIZES["codes"] * SIZES["dimension"]


def test_survives_the_projects_own_format(model, tmp_path: Path):
    save(tmp_path / "same.safetensors", model.checkpoint({"recipe": "none"}))
    again = wavtokenizer.load(tmp_path / "same.safetensors")
    assert again.config == model.config
    codes = torch.arange(20)[None, None]
    assert torch.equal(model.decode(codes)[0], again.decode(codes)[0])
    save(tmp_path / "half.safetensors", model.checkpoint(), torch.float16)
    half = wavtokenizer.load(tmp_path / "half.safetensors")
    assert half.decoder.out.weight.dtype == torch.float32
    assert torch.allclose(
        half.decode(codes)[0], model.decode(codes)[0], atol=0.02 * float(model.decode(codes)[0].std())
    )


@pytest.mark.parametrize(
    "obj", [{}, {"state_dict": {}}, {"state_dict": 3}, [], {"model_state_dict": {"codebook": torch.zeros(2)}}]
)
def test_another_object_is_refused(obj, tmp_path: Path):
    torch.save(obj, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="WavTokenizer"):
        wavtokenizer.load(tmp_path / "other.ckpt")


def test_a_missing_or_misshapen_weight_is_refused(state, tmp_path: Path):
    lacking = {k: v for k, v in state.items() if k != "backbone.pos_net.2.q.bias"}
    torch.save({"state_dict": lacking}, tmp_path / "lacking.ckpt")
    with pytest.raises(CheckpointError, match=r"pos_net\.2\.q\.bias"):
        wavtokenizer.load(tmp_path / "lacking.ckpt")
    wrong = state | {"backbone.pos_net.2.q.bias": torch.zeros(5)}
    torch.save({"state_dict": wrong}, tmp_path / "wrong.ckpt")
    with pytest.raises(CheckpointError, match="do not fit"):
        wavtokenizer.load(tmp_path / "wrong.ckpt")


def test_a_config_that_describes_no_codec_is_refused(model, tmp_path: Path):
    checkpoint = model.checkpoint()
    for change in ({"colour": 3}, {"n_fft": 2}, {"decoder_dim": 33}, {"strides": []}, {"dimension": 0}):
        wrong = dataclasses.replace(checkpoint, config=checkpoint.config | change)
        save(tmp_path / "wrong.safetensors", wrong)
        with pytest.raises(CheckpointError, match=next(iter(change))):
            wavtokenizer.load(tmp_path / "wrong.safetensors")


def test_files_written_before_the_encoder_was_renamed_load(model, tmp_path: Path):
    """The two stages' keys of version 0.1, written out; the demo's file has them too."""
    config = dataclasses.replace(model.config, strides=(4, 6))
    old = {"encoder.stem": "0", "encoder.lstm": "7.lstm", "encoder.out": "9"}
    for stage, (block, down) in enumerate([("1", "3"), ("4", "6")]):
        old |= {
            f"encoder.stages.{stage}.narrow": f"{block}.block.1",
            f"encoder.stages.{stage}.widen": f"{block}.block.3",
        }
        old |= {f"encoder.stages.{stage}.shortcut": f"{block}.shortcut", f"encoder.stages.{stage}.down": down}
    new = wavtokenizer.WavTokenizer(config)
    state = {}
    for key, value in new.state_dict().items():
        names = [(name, f"encoder.model.{number}.") for name, number in old.items()]
        state[next((f"{name}.{key.removeprefix(p)}" for name, p in names if key.startswith(p)), key)] = value
    assert not any(key.startswith("encoder.model") for key in state)
    save(tmp_path / "old.safetensors", dataclasses.replace(new.checkpoint(), state=state))
    loaded = wavtokenizer.load(tmp_path / "old.safetensors").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in new.state_dict().items())

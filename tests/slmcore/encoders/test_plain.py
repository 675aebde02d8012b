"""Encoders with plain attention: batches, windows, precision and containers, and transformers' classes as an oracle."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.encoders.plain import PlainConfig, PlainEncoder, published
from slmcore.encoders.waveforms import Chunks, Windows
from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import read, save
from slmcore.roles import Encoder
from tests.reference.goldens import noise

CONVS = ((8, 10, 5), *[(8, 3, 2)] * 4, *[(8, 2, 2)] * 2)
HUBERT = PlainConfig(
    conv_layers=CONVS, dim=16, ffn_dim=24, heads=2, layers=3, conv_pos=6, conv_pos_groups=2,
    group_norm=True, conv_bias=False, norm_first=False,
)  # fmt: skip
W2V2 = replace(HUBERT, group_norm=False, conv_bias=True, norm_first=True)
FORMS = {
    "hubert": HUBERT,
    "wav2vec2": W2V2,
    "mhubert": replace(HUBERT, batch_norm=True),
    "normalized": replace(HUBERT, normalize=True),
    "odd kernel": replace(W2V2, conv_pos=5),
}


class Made(PlainEncoder):
    kind = "made"


def model_of(config: PlainConfig) -> Made:
    torch.manual_seed(0)
    model = Made(config).eval()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 0.5, 0.5)
    return model


def spread(x: torch.Tensor, y: torch.Tensor) -> float:
    """Largest difference, in standard deviations."""
    assert x.shape == y.shape
    return float((x - y).abs().max() / y.std())


@given(
    form=st.sampled_from(list(FORMS)),
    lengths=st.lists(st.integers(400, 6000), min_size=1, max_size=5),
    layer=st.sampled_from([None, 1, 3]),
    seconds=st.sampled_from([math.inf, 1.0, 0.1]),
)
@settings(max_examples=60, deadline=None)
def test_batches_give_each_what_it_gets_alone(form: str, lengths: list[int], layer: int | None, seconds: float) -> None:
    model = model_of(FORMS[form])
    wavs = [noise(length, seed, 0.1 * seed) for seed, length in enumerate(lengths)]
    together = model.features_batch(wavs, 16000, layer, seconds)
    assert [len(x) for x in together] == [(length - 400) // 320 + 1 for length in lengths]
    for wav, found in zip(wavs, together, strict=True):
        assert float((found - model.features(wav, 16000, layer)).abs().max()) < 2e-5


@pytest.mark.parametrize("form", FORMS)
def test_the_frontend_of_long_audio_is_that_of_the_whole(form: str) -> None:
    model, wav = model_of(FORMS[form]), noise(40007, 3, 0.2)
    del model.blocks[:]
    whole = model.features(wav, 16000)
    model.windows = Windows(whole=1.0, window=0.4, context=0.2)
    # Without blocks a frame sees half a kernel of the positional convolution on each side, less than the context.
    assert spread(model.features(wav, 16000), whole) < 2e-5


@pytest.mark.parametrize("form", FORMS)
def test_windows_are_the_whole_as_far_as_their_context_reaches(form: str) -> None:
    """Equal where every window sees the whole utterance; with a second of context a tenth of a deviation on average."""
    model, wav = model_of(FORMS[form]), noise(80007, 3, 0.2)
    whole = model.features(wav, 16000)
    model.windows = Windows(whole=2.0, window=1.0, context=6.0)
    assert spread(model.features(wav, 16000), whole) < 5e-5
    model.windows = Windows(whole=2.0, window=1.0, context=1.0)
    apart = (model.features(wav, 16000) - whole).abs() / whole.std(0)
    assert 0 < apart.mean() < 0.1
    assert apart.quantile(0.99) < 0.5


def test_chunks_are_encoded_alone_and_a_last_one_without_a_frame_is_dropped() -> None:
    model = model_of(HUBERT)
    model.windows = Chunks(whole=0.5)
    wav = noise(16000 + 399, 1)
    expected = [model.features(wav[:, at : at + 8000], 16000, 2) for at in (0, 8000)]
    assert torch.equal(model.features(wav, 16000, 2), torch.cat(expected))
    longer = noise(16000 + 400, 1)
    assert len(model.features(longer, 16000, 2)) == sum(map(len, expected)) + 1


def transformers_model(config: PlainConfig) -> Any:
    transformers = pytest.importorskip("transformers")
    channels, kernels, strides = (list(each) for each in zip(*config.conv_layers, strict=True))
    kind = transformers.Wav2Vec2Model if config.norm_first else transformers.HubertModel
    return kind(
        kind.config_class(
            hidden_size=config.dim, num_hidden_layers=config.layers, num_attention_heads=config.heads,
            intermediate_size=config.ffn_dim, conv_dim=channels, conv_kernel=kernels, conv_stride=strides,
            conv_bias=config.conv_bias, feat_extract_norm="group" if config.group_norm else "layer",
            do_stable_layer_norm=config.norm_first, num_conv_pos_embeddings=config.conv_pos,
            num_conv_pos_embedding_groups=config.conv_pos_groups, conv_pos_batch_norm=config.batch_norm,
        )
    ).eval()  # fmt: skip


NAMES = (
    (r"^masked_spec_embed$", "mask_emb"),
    (r"^feature_extractor\.conv_layers\.(\d+)\.conv\.", r"feature_extractor.conv_layers.\1.0."),
    (r"^feature_projection\.projection\.", "post_extract_proj."),
    (r"^feature_projection\.layer_norm\.", "layer_norm."),
    (r"^encoder\.pos_conv_embed\.batch_norm\.", "encoder.pos_conv.0."),
    (r"^encoder\.layers\.(\d+)\.attention\.", r"encoder.layers.\1.self_attn."),
    (r"^encoder\.layers\.(\d+)\.layer_norm\.", r"encoder.layers.\1.self_attn_layer_norm."),
    (r"\.feed_forward\.intermediate_dense\.", ".fc1."),
    (r"\.feed_forward\.output_dense\.", ".fc2."),
)


def renamed(key: str, names: list[tuple[str, str]]) -> str:
    for pattern, name in names:
        key = re.sub(pattern, name, key)
    return key


def fairseq_content(theirs: Any, config: PlainConfig) -> dict[str, Any]:
    """Weights of transformers under fairseq's names, which are those of the specification."""
    norm = r"\1.2." if config.group_norm else r"\1.2.1."
    names = [*NAMES, (r"^(feature_extractor\.conv_layers\.\d+)\.layer_norm\.", norm)]
    names.append((r"^encoder\.pos_conv_embed\.conv\.", f"encoder.pos_conv.{int(config.batch_norm)}."))
    state = {renamed(key, names): value for key, value in theirs.state_dict().items()}
    about: dict[str, Any] = {
        "conv_feature_layers": str(list(config.conv_layers)), "encoder_embed_dim": config.dim,
        "encoder_ffn_embed_dim": config.ffn_dim, "encoder_layers": config.layers,
        "encoder_attention_heads": config.heads, "conv_pos": config.conv_pos, "conv_bias": config.conv_bias,
        "conv_pos_groups": config.conv_pos_groups, "layer_norm_first": config.norm_first,
        "extractor_mode": "default" if config.group_norm else "layer_norm",
        "conv_pos_batch_norm": config.batch_norm,
    }  # fmt: skip
    return {"cfg": {"model": about, "task": {"normalize": config.normalize}}, "model": state}


@pytest.mark.parametrize("form", ["hubert", "wav2vec2", "mhubert", "odd kernel"])
def test_transformers_gives_the_same_layers(form: str) -> None:
    config = FORMS[form]
    torch.manual_seed(1)
    theirs = transformers_model(config)
    for name, value in theirs.named_buffers():
        if "running_" in name:
            value.uniform_(0.5, 2.0)
    model = Made.from_checkpoint(published(fairseq_content(theirs, config), "made"))
    assert model.config == config
    wav = noise(5003, 2)
    with torch.no_grad():
        found = theirs(wav, output_hidden_states=True)
    for layer in (1, 2, 3):
        if layer < 3 or not config.norm_first:
            assert spread(model.features(wav, 16000, layer), found.hidden_states[layer][0]) < 1e-5
    assert spread(model.features(wav, 16000), found.last_hidden_state[0]) < 1e-5


@pytest.mark.parametrize("form", ["hubert", "wav2vec2"])
def test_the_mean_of_layers_takes_in_the_blocks_and_their_input(form: str) -> None:
    config = FORMS[form]
    torch.manual_seed(1)
    theirs = transformers_model(config)
    model = Made.from_checkpoint(published(fairseq_content(theirs, config), "made"))
    wavs = noise(10006, 2).view(2, 5003)
    with torch.no_grad():
        states = list(theirs(wavs, output_hidden_states=True).hidden_states)
    # The last one of a pre-norm model is normed, which is no layer's output.
    states[3] = torch.stack([model.features(wav[None], 16000, 3) for wav in wavs])
    assert len(states) == 4
    found = model.mean_of_layers(wavs, 16000)
    for index in range(2):
        assert spread(found[index], torch.stack(states).mean(0)[index]) < 1e-5
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in model.blocks)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close_and_norms_stay_float32(form: str, dtype: torch.dtype) -> None:
    wav = noise(8000, 4, 0.05)
    whole = model_of(FORMS[form]).features(wav, 16000)
    half = model_of(FORMS[form]).to(dtype)
    assert half.input_proj.weight.dtype == dtype
    assert half.frontend[0].norm.weight.dtype == half.norm.weight.dtype == torch.float32
    found = half.features(wav, 16000)
    assert found.dtype == torch.float32
    assert float((found - whole).square().mean().sqrt() / whole.std()) < (0.08 if dtype == torch.bfloat16 else 0.01)


def test_loudness_and_offset_do_not_matter_to_a_normalized_model() -> None:
    model, wav = model_of(FORMS["normalized"]), noise(5000, 5)
    assert spread(model.features(3 * wav + 0.2, 16000), model.features(wav, 16000)) < 1e-3
    other = model_of(W2V2)
    assert spread(other.features(3 * wav + 0.2, 16000), other.features(wav, 16000)) > 0.01


def test_digital_silence_gives_finite_features() -> None:
    assert model_of(HUBERT).features(torch.zeros(1, 4000), 16000).isfinite().all()


@pytest.mark.parametrize(("samples", "sr", "needed"), [(399, 16000, 400), (551, 22050, 552)])
def test_audio_shorter_than_a_frame_is_refused(samples: int, sr: int, needed: int) -> None:
    model = model_of(HUBERT)
    with pytest.raises(ValueError, match=f"at least {needed} samples long"):
        model.features(noise(samples, 1), sr)
    assert model.features(noise(needed, 1), sr).shape == (1, 16)


@pytest.mark.parametrize("layer", [0, 4, -1, True, "1"])
def test_a_layer_that_is_not_there_is_refused(layer: Any) -> None:
    with pytest.raises(ValueError, match="block number from 1 to 3"):
        model_of(HUBERT).features(noise(4000, 1), 16000, layer)


@pytest.mark.parametrize("form", FORMS)
def test_the_projects_own_format_keeps_everything(form: str, tmp_path: Path) -> None:
    model, wav = model_of(FORMS[form]), noise(4000, 6)
    save(tmp_path / "model.safetensors", model.checkpoint())
    again = Made.from_checkpoint(read(tmp_path / "model.safetensors", "made", lambda obj: obj))
    assert again.config == model.config
    assert torch.equal(again.features(wav, 16000), model.features(wav, 16000))
    assert isinstance(again, Encoder)


@pytest.mark.parametrize("layer", [None, 2])
@pytest.mark.parametrize("form", ["hubert", "wav2vec2"])
def test_unused_parameters_are_those_without_a_gradient(form: str, layer: int | None) -> None:
    model = model_of(FORMS[form])
    model(noise(4000, 7), layer=layer).square().sum().backward()
    unused = model.unused_parameters(layer)
    assert {id(p) for p in unused} == {id(p) for p in model.parameters() if p.grad is None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("activation_fn", "relu"),
        ("layer_type", "conformer"),
        ("pos_conv_depth", 5),
        ("conv_feature_layers", "[(8,"),
        ("conv_feature_layers", None),
        ("encoder_layers", 2),
        ("encoder_attention_heads", 3),
        ("extractor_mode", "layer_norm"),
    ],
)
def test_another_architecture_is_refused(name: str, value: Any, tmp_path: Path) -> None:
    content = fairseq_content(transformers_model(HUBERT), HUBERT)
    content["cfg"]["model"][name] = value
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(CheckpointError):
        Made.from_checkpoint(read(tmp_path / "model.pt", "made", lambda obj: published(obj, "made")))

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import torch

from gslm.tacotron import Tacotron, TacotronConfig, load, published
from gslm.tacotron.layers import RoundedCell
from gslm.tacotron.prenet import DrawnDropout
from slmcore.errors import CheckpointError
from tests.reference import goldens, gslm

NAME = "gslm_tacotron_small"
UNITS = [[11, 12, 7], [6, 10, 16, 8, 13, 11, 0, 4], [2]]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gslm.tacotron_file(tmp_path_factory.mktemp("tacotron"), NAME)


@pytest.fixture(scope="module")
def model(path: Path) -> Tacotron:
    return load(path)


def ids_of(model: Tacotron) -> list[torch.Tensor]:
    return [model.codes.encode(units).ids for units in UNITS]


def test_batches_are_as_single_sequences(path):
    model = load(gslm.tacotron_file(path.parent / "stops", NAME, gate_threshold=0.5855))
    together = model(ids_of(model), max_frames=30, seed=3)
    lengths = {made.mel.shape[1] for made in together}
    assert len(lengths) > 1
    for number, (made, ids) in enumerate(zip(together, ids_of(model), strict=True)):
        width = model.config.prenet_dim
        dropout = DrawnDropout(3, torch.tensor([number]), width)
        (alone,) = model([ids], max_frames=30, dropout=dropout)
        torch.testing.assert_close(made.mel, alone.mel, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(made.alignment, alone.alignment, atol=1e-5, rtol=1e-5)
        assert made.finished == alone.finished
        torch.testing.assert_close(made.alignment.sum(1), torch.ones(len(made.alignment)))
        assert made.alignment.shape == (made.mel.shape[1], len(ids))


def test_speech_follows_the_seed(model):
    ids = ids_of(model)[:1]
    one, again, other = (model(ids, max_frames=20, seed=seed)[0].mel for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other, atol=1e-3)
    assert not one.is_inference()
    assert one.requires_grad is False


def test_many_sequences_are_spoken_as_in_few(model):
    ids = ids_of(model)[:1] * 18
    many = model(ids, max_frames=5)
    few = model(ids[:3], max_frames=5)
    assert len(many) == 18
    for a, b in zip(many, few, strict=False):
        torch.testing.assert_close(a.mel, b.mel, atol=1e-5, rtol=1e-5)
    assert len({float(made.mel.sum()) for made in many}) == 18


def test_the_frames_are_limited_by_the_model_too(path):
    made = Tacotron.from_checkpoint(load(path).checkpoint())
    assert made.config.max_frames == 2000
    object.__setattr__(made.config, "max_frames", 7)
    assert made(ids_of(made)[:1])[0].mel.shape == (10, 7)


def test_half_of_the_prenet_is_dropped_and_the_rest_doubled():
    dropout = DrawnDropout(5, torch.tensor([0, 7]), 128)
    frames = torch.stack([dropout(step) for step in range(130)])
    assert frames.shape == (130, 2, 2, 128)
    assert set(frames.unique().tolist()) == {0.0, 2.0}
    assert abs(float(frames.mean()) - 1) < 0.02
    for a, b in ((frames[0], frames[64]), (frames[:, 0], frames[:, 1]), (frames[:, :, 0], frames[:, :, 1])):
        assert abs(float(((a - 1) * (b - 1)).mean())) < 0.1
    alone = DrawnDropout(5, torch.tensor([7]), 128)
    assert torch.equal(torch.stack([alone(step) for step in range(130)])[:, :, 0], frames[:, :, 1])


def test_saved_models_load_equal(model, tmp_path):
    model.save_pretrained(tmp_path / "saved")
    again = Tacotron.from_pretrained(tmp_path / "saved")
    assert torch.equal(again(ids_of(model), max_frames=5)[1].mel, model(ids_of(model), max_frames=5)[1].mel)
    assert again.codes.to_dict() == model.codes.to_dict()
    assert again.k == 21


def test_bfloat16_speaks_nearly_alike(path, model):
    half = load(path).to(torch.bfloat16)
    exact, rounded = (each(ids_of(each)[:1], max_frames=3)[0].mel for each in (model, half))
    assert float((rounded.float() - exact).abs().max()) < 0.1 * float(exact.std())


@pytest.mark.parametrize("scheme", ["int8", "int8-weight-only"])
def test_int8_speaks_nearly_alike_and_cannot_be_saved(path, model, tmp_path, scheme):
    rounded = load(path)
    rounded.quantize(scheme)
    for exact, found in zip(*(each(ids_of(model)[:2], max_frames=9) for each in (model, rounded)), strict=True):
        assert 0 < float((found.mel - exact.mel).abs().max()) < 0.1 * float(exact.mel.std())
        assert found.mel.shape == exact.mel.shape
        torch.testing.assert_close(found.alignment, exact.alignment, atol=0.02, rtol=0)
    rounded.quantize(scheme)
    with pytest.raises(ValueError, match="int8 weights cannot be saved"):
        rounded.save_pretrained(tmp_path)


@torch.no_grad()
def test_a_cell_of_int8_is_the_lstm_cell_of_its_rounded_weights():
    cell = torch.nn.LSTMCell(6, 4)
    for parameter in cell.parameters():
        # Multiples of 1/127 of the largest weight of a row are kept by the rounding.
        parameter.copy_(torch.randint(-127, 128, parameter.shape).float() / 127)
    cell.weight_ih[:, 0] = 1.0
    rounded, state = RoundedCell(cell, "int8-weight-only"), (torch.randn(3, 4), torch.randn(3, 4))
    x = torch.randn(3, 6)
    for _ in range(2):
        exact, state = cell(x, state), rounded(x, state)
        for found, right in zip(state, exact, strict=True):
            torch.testing.assert_close(found, right, atol=0.05, rtol=0)
        state = exact


def test_hparams_may_be_an_object(path, tmp_path):
    content = gslm.tacotron_content(NAME)
    found = published({**content, "hparams": Namespace(**content["hparams"])})
    assert found.config == published(content).config
    file = gslm.tacotron_file(tmp_path, NAME, {**content, "hparams": Namespace(**content["hparams"])})
    assert load(file).config == load(path).config
    assert found.tokenizer == {"add_sos": False, "add_eos": True, "collapse": True, "rows": 23}


def test_a_table_comes_from_beside_the_file_or_by_name(path, tmp_path):
    other = tmp_path / "codes.txt"
    other.write_text((path.parent / "code_dict").read_text())
    (path.parent / "code_dict").rename(path.parent / "hidden")
    with pytest.raises(FileNotFoundError, match="code_dict"):
        load(path)
    assert load(path, other).codes.lines == load(path, other).codes.lines
    assert load(path, other, k=30).k == 30
    (path.parent / "hidden").rename(path.parent / "code_dict")
    with pytest.raises(CheckpointError, match="below k = 20"):
        load(path, k=20)
    for lines in (19, 23):
        other.write_text("".join(f"{i}\n" for i in range(lines)))
        with pytest.raises(CheckpointError, match=rf"codes.txt.*of 20 to 22 lines.*list of {lines} lines"):
            load(path, other)


@pytest.mark.parametrize(
    ("change", "message"), [({"text_or_code": "text"}, "text_or_code"), ({"n_frames_per_step": 2}, "n_frames_per_step")]
)
def test_models_of_other_forms_are_refused(tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        load(gslm.tacotron_file(tmp_path, NAME, **change))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no Tacotron 2"):
        load(gslm.tacotron_file(tmp_path, NAME, {"model_dict": {"upsample.weight": torch.zeros(1)}}))
    content = gslm.tacotron_content(NAME)
    del content["model_dict"]["postnet.convolutions.4.1.bias"]
    with pytest.raises(CheckpointError, match=r"missing postnet.convolutions.4.norm.bias"):
        load(gslm.tacotron_file(tmp_path, NAME, content))
    del content["model_dict"]["encoder.lstm.weight_hh_l0"]
    with pytest.raises(CheckpointError, match=r"no encoder.lstm.weight_hh_l0"):
        load(gslm.tacotron_file(tmp_path, NAME, content))


@pytest.mark.parametrize(
    ("name", "value"),
    [("symbols", 0), ("encoder_dim", 7), ("location_kernel", 4), ("gate_threshold", 0.0), ("latent_dim", -1)],
)
def test_config_refuses(name, value):
    with pytest.raises(ValueError, match=name):
        TacotronConfig(**{"symbols": 5, name: value})
    with pytest.raises(CheckpointError, match=name):
        TacotronConfig.from_dict({"symbols": 5, name: value})


def test_labels_and_latents_are_read_off_the_weights(tmp_path):
    config = load(gslm.tacotron_file(tmp_path, "gslm_tacotron_latent_small")).config
    assert (config.observed_classes, config.observed_dim, config.latent_dim) == (3, 4, 6)
    about = goldens.load_json(NAME)["hparams"]
    assert (config.mels, config.sample_rate) == (about["n_mel_channels"], about["sampling_rate"])

from __future__ import annotations

import json
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from slmcore.errors import CheckpointError
from slmcore.roles import Synthesizer
from slmcore.units import OperatingPoint, Units
from tests.reference import goldens
from tests.twist.test_vocoder_goldens import ABOUT, published_folder
from twist import UnitVocoder, VocoderConfig
from twist.vocoder import load

SMALL = VocoderConfig(
    num_units=9, dim=4, channels=8, rates=(4, 5), kernels=(8, 9), block_kernels=(3,), block_dilations=((1, 2),)
)


def made(**changes: object) -> UnitVocoder:
    torch.manual_seed(5)
    return UnitVocoder(replace(SMALL, **changes)).eval().requires_grad_(False)


def units(*pairs: tuple[int, int], rate: float = 800.0) -> Units:
    values, durations = zip(*pairs, strict=True)
    return Units(torch.tensor(values), torch.tensor(durations), rate)


def test_the_role():
    vocoder = made(duration_width=4)
    assert isinstance(vocoder, Synthesizer)
    assert (vocoder.k, vocoder.sample_rate, vocoder.frame_rate) == (9, 16000, 800.0)


def test_units_keep_their_durations_and_others_are_predicted():
    vocoder = made(duration_width=4)
    own = units((3, 2), (8, 1), (3, 4))
    kept, predicted = vocoder.speak([own, own.units])
    assert torch.equal(kept.wav[0], vocoder(torch.tensor([3, 3, 8, 3, 3, 3, 3])))
    assert (kept.durations.tolist(), kept.seconds, kept.wanted_seconds) == ([2, 1, 4], 7 / 800, 7 / 800)
    assert torch.equal(predicted.wav[0], vocoder(own.units, dur_prediction=True))
    assert predicted.wanted_seconds is None
    assert predicted.wav.shape == (1, int(predicted.durations.sum()) * 20)
    asked = vocoder.speak([own], keep_durations=False)[0]
    assert torch.equal(asked.wav, predicted.wav)
    assert asked.wanted_seconds == 7 / 800
    with pytest.raises(ValueError, match="`units` must be Units with durations"):
        vocoder.speak([own.units], keep_durations=True)


def logarithm(value: float) -> float:
    """The float64 whose exponential is nearest to `value`: for the halves below, equal."""
    near = np.log(value) + np.arange(-8, 9) * np.spacing(np.log(value))
    return float(near[(torch.from_numpy(near).exp() - value).abs().argmin()])


@pytest.mark.parametrize(("value", "frames"), [(0.25, 1), (1.0, 1), (1.5, 1), (3.5, 2), (4.5, 4), (7.9, 7), (8.0, 7)])
def test_durations_are_at_least_one_frame_and_halves_go_to_even(value, frames):
    vocoder = made(duration_width=4).double()
    vocoder.durations.proj.weight.zero_()
    vocoder.durations.proj.bias.fill_(logarithm(value))
    assert vocoder.speak([[1, 2]])[0].durations.tolist() == [frames] * 2


def test_many_utterances_are_spoken_as_each_alone():
    vocoder = made(duration_width=4, num_speakers=3, num_styles=2)
    sequences = [units((1, 3), (2, 2)), units((5, 1)), units((0, 40), (4, 1)), units((1, 3), (2, 2))]
    together = vocoder.speak(sequences, speaker=1, style=1)
    alone = [vocoder.speak([each], speaker=1, style=1)[0] for each in sequences]
    assert all(torch.equal(a.wav, b.wav) for a, b in zip(together, alone, strict=True))
    assert torch.equal(together[0].wav, together[3].wav)


def test_batches_as_on_a_gpu_are_as_each_alone():
    vocoder = made()
    frames = [torch.randn(4, n) for n in (7, 1, 30)]
    together = vocoder._together(frames)
    for wav, each in zip(together, frames, strict=True):
        assert torch.allclose(wav, vocoder.generator(each[None])[0], atol=1e-6)


def test_nothing_to_speak_is_silence_of_no_length():
    vocoder = made(duration_width=4, num_speakers=2)
    empty, one = vocoder.speak([[], [1]])
    assert (empty.empty, empty.durations.tolist(), empty.seconds) == (True, [], 0.0)
    assert not one.empty
    assert vocoder.speak([]) == []
    assert vocoder(torch.tensor([-1, -4])).shape == (0,)


def test_speech_of_half_precision_is_float32_and_lasts_as_long():
    vocoder = made(duration_width=4)
    exact = vocoder.speak([[1, 2, 3]])[0]
    half = vocoder.to(torch.bfloat16).speak([[1, 2, 3]])[0]
    assert half.wav.dtype == torch.float32
    assert half.durations.tolist() == exact.durations.tolist()
    assert 0 < float((half.wav - exact.wav).abs().max()) < 0.05


@pytest.mark.parametrize("wrong", [[9], [0, -1], torch.tensor([1.0]), torch.tensor([[1]]), units((12, 1))])
def test_units_outside_the_codebook_are_refused(wrong):
    with pytest.raises(ValueError, match=r"`units` must be (from 0 to 8|whole numbers)"):
        made(duration_width=4).speak([[1], wrong])


def test_units_of_another_rate_are_refused():
    with pytest.raises(ValueError, match="`units` must be at 800 frames per second, but is a sequence at 50 Hz"):
        made().speak([units((1, 2), rate=50.0)])


def test_a_vocoder_without_prediction_needs_durations():
    with pytest.raises(ValueError, match="predicts no durations"):
        made().speak([[1, 2]])
    with pytest.raises(ValueError, match="dur_prediction"):
        made()(torch.tensor([1]), dur_prediction=True)


def test_speakers_and_styles_by_number_or_name():
    vocoder = made(num_speakers=3, num_styles=2, speakers=("ann", "bob"), styles=("calm", "sad"))
    own = units((1, 3))
    by_name = vocoder.speak([own], speaker="bob", style="sad")[0].wav
    assert torch.equal(by_name, vocoder.speak([own], speaker=1, style=1)[0].wav)
    assert torch.equal(by_name[0], vocoder(own.framewise(), speaker_id="bob", style_id=1))
    assert not torch.allclose(by_name, vocoder.speak([own], speaker="ann", style="sad")[0].wav)
    assert not torch.allclose(by_name, vocoder.speak([own], speaker="bob")[0].wav)
    assert torch.equal(vocoder.speak([own])[0].wav, vocoder.speak([own], speaker="ann", style="calm")[0].wav)
    for wrong in ("cy", 3, -1, 1.0):
        with pytest.raises(ValueError, match="`speaker` must be 0 to 2, or one of ann, bob, but is"):
            vocoder.speak([own], speaker=wrong)
    with pytest.raises(ValueError, match="`style` must be 0 to 1, or one of calm, sad, but is 'cal'"):
        vocoder.speak([own], style="cal")
    with pytest.raises(ValueError, match="this vocoder has no styles"):
        made().speak([own], style=0)


def test_a_speaker_can_be_an_embedding():
    vocoder = made(speaker_dim=6)
    first, second = (vocoder.speak([units((1, 3))], speaker=torch.full((6,), x))[0].wav for x in (0.0, 1.0))
    assert not torch.allclose(first, second)
    for wrong in (None, 1, torch.zeros(5)):
        with pytest.raises(ValueError, match=r"`speaker` must be an embedding \(6,\)"):
            vocoder.speak([units((1, 3))], speaker=wrong)


def test_f0_is_asked_for_where_it_is_read():
    own = units((1, 3), (2, 1))
    raw, bins = made(f0=True), made(f0=True, f0_bins=5)
    twice = raw.speak([own], f0=[torch.arange(8.0)])[0].wav
    assert twice.shape == (1, 8 * 20)
    assert bins.speak([own], f0=[torch.tensor([1, 4])])[0].wav.shape == (1, 4 * 20)
    for vocoder, wrong, words in (
        (raw, None, "`f0` must be given"),
        (made(), torch.zeros(4), "`f0` must be left out"),
        (raw, torch.zeros(6), "`f0` must be as long as the 4 frames"),
        (bins, torch.tensor([0, 5]), "`f0` must be whole numbers from 0 to 4"),
        (bins, torch.tensor([0.0, 1.0]), "`f0` must be whole numbers from 0 to 4"),
    ):
        with pytest.raises(ValueError, match=words):
            vocoder.speak([own], f0=None if wrong is None else [wrong])
    # What belongs to a unit that is left out goes with it.
    kept = raw(torch.tensor([1, -1, 2]), f0=torch.tensor([5.0, 6, 7, 8, 9, 10]))
    assert torch.equal(kept, raw(torch.tensor([1, 2]), f0=torch.tensor([5.0, 6, 9, 10])))


def test_long_speech_in_segments_is_the_whole():
    vocoder = made()
    frames = torch.randn(1, 4, 17000)
    assert torch.allclose(vocoder._together([frames[0]])[0], vocoder.generator(frames)[0], atol=1e-6)


def test_a_saved_vocoder_loads_equal(tmp_path):
    vocoder = made(num_speakers=2, speakers=("ann", "bob"), duration_width=4)
    vocoder.operating_point = OperatingPoint(zoo="z", k=9)
    vocoder.save_pretrained(tmp_path / "saved", {"recipe": "none"})
    again = UnitVocoder.from_pretrained(tmp_path / "saved")
    assert (again.config, again.operating_point) == (vocoder.config, vocoder.operating_point)
    assert torch.equal(again.speak([[1, 2]])[0].wav, vocoder.speak([[1, 2]])[0].wav)


@pytest.fixture
def expresso(tmp_path: Path) -> Path:
    return published_folder(tmp_path / "expresso", ABOUT, "expresso")


def test_names_of_speakers_and_styles_lie_beside_the_weights(expresso):
    (expresso / "speakers.txt").write_text("ex01\nex02\n")
    (expresso / "styles.txt").write_text("default\nwhisper\n")
    vocoder = load(expresso / "generator.pt")
    assert (vocoder.speakers, vocoder.styles) == (("ex01", "ex02"), ("default", "whisper"))
    assert (load(expresso, styles=expresso / "speakers.txt").styles) == ("ex01", "ex02")
    (expresso / "speakers.txt").write_text("x\n" * 8)
    with pytest.raises(CheckpointError, match="at most 7 names"):
        load(expresso)


def test_the_config_may_be_named_after_the_weights(expresso):
    (expresso / "config.json").rename(expresso / "generator_config.json")
    (expresso / "config.json").write_text("{}")
    assert load(expresso).k == 50
    (expresso / "generator_config.json").rename(expresso / "elsewhere.json")
    (expresso / "config.json").unlink()
    assert load(expresso, config=expresso / "elsewhere.json").k == 50
    with pytest.raises(CheckpointError, match=r"needs its config\.json"):
        load(expresso)


@pytest.mark.parametrize(
    "key",
    [
        "num_embeddings",
        "embedding_dim",
        "upsample_rates",
        "upsample_kernel_sizes",
        "upsample_initial_channel",
        "resblock_kernel_sizes",
        "resblock_dilation_sizes",
        "dur_predictor_params.var_pred_hidden_dim",
    ],
)
def test_a_config_without_a_needed_key_is_refused_by_name(key, tmp_path):
    folder = published_folder(tmp_path / "twist", ABOUT, "twist")
    config = json.loads((folder / "config.json").read_text())
    *outer, last = key.split(".")
    del (config[outer[0]] if outer else config)[last]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=f"lacks `{key}`"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_in_dim": 64}, "model_in_dim"),
        ({"num_speakers": 6}, r"frames\.speakers\.weight is \(7, 16\), not \(6, 16\)"),
        ({"upsample_kernel_sizes": [10, 8, 8, 4, 4]}, "kernels"),
        ({"multistyle": False, "model_in_dim": 32}, "unexpected frames.styles.weight"),
    ],
)
def test_a_config_of_another_vocoder_is_refused(expresso, change, words):
    config = json.loads((expresso / "config.json").read_text()) | change
    (expresso / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=words):
        load(expresso)


def test_facts_of_configs_that_files_leave_out(expresso, tmp_path):
    config = json.loads((expresso / "config.json").read_text())
    del config["model_in_dim"], config["sampling_rate"]
    # Trained without duration prediction, whatever the config says; further dilations are ignored.
    config["dur_predictor_params"] = {"var_pred_hidden_dim": 4}
    config["resblock_dilation_sizes"] = [[1, 3, 5, 7]] * 3
    (expresso / "config.json").write_text(json.dumps(config))
    vocoder = load(expresso)
    assert (vocoder.sample_rate, vocoder.durations) == (16000, None)


@pytest.mark.parametrize("content", ["[1]", "{", ""])
def test_a_config_that_is_no_object_is_refused(expresso, content):
    (expresso / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load(expresso)


@pytest.mark.parametrize("content", [{"model": {}}, {"generator": 1}, [1]])
def test_weights_of_another_kind_are_refused(expresso, content):
    torch.save(content, expresso / "generator.pt")
    with pytest.raises(CheckpointError, match="`generator`"):
        load(expresso)


def test_vocoders_in_archives(expresso, tmp_path):
    golden = load(expresso)
    with tarfile.open(tmp_path / "vocoder.tar.gz", "w:gz") as archive:
        archive.add(expresso, "vocoder")
    with zipfile.ZipFile(tmp_path / "vocoder.zip", "w") as archive:
        for file in expresso.iterdir():
            archive.write(file, file.name)
    own = Units.from_framewise(torch.arange(18), 50.0)
    for name in ("vocoder.tar.gz", "vocoder.zip"):
        found = load(tmp_path / name)
        assert torch.equal(found.speak([own])[0].wav, golden.speak([own])[0].wav), name


@pytest.mark.parametrize("seed", [goldens.seed() + 1])
def test_state_dicts_of_the_published_code_fit(expresso, seed):
    state = torch.load(expresso / "generator.pt", weights_only=True)["generator"]
    assert "dict.weight" in state and "conv_pre.weight_g" in state
    folded = load(expresso).generator.conv_pre.weight
    v, g = state["conv_pre.weight_v"].double(), state["conv_pre.weight_g"].double()
    assert torch.allclose(folded.double(), g * v / v.flatten(1).norm(dim=1)[:, None, None], atol=1e-6)

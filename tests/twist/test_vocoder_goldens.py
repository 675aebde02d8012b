from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.reference import goldens
from twist import UnitVocoder

pytestmark = pytest.mark.golden
ABOUT, ARRAYS = goldens.load("unit_hifigan_small")
CASES = [(variant, case) for variant, about in ABOUT["variants"].items() for case in about["cases"]]


def published_folder(folder: Path, about: dict, variant: str) -> Path:
    """The weights by recipe and their config.json, named as the published ones are."""
    prefix = f"{variant}: "
    shapes = {key.removeprefix(prefix): value for key, value in about["state_dict"].items() if key.startswith(prefix)}
    folder.mkdir()
    torch.save({"generator": goldens.weights(shapes or about["state_dict"])}, folder / "generator.pt")
    (folder / "config.json").write_text(json.dumps(about["variants"][variant]["config"]))
    return folder


@pytest.fixture(scope="module")
def vocoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, UnitVocoder]:
    root = tmp_path_factory.mktemp("vocoders")
    return {
        variant: UnitVocoder.from_pretrained(published_folder(root / variant, ABOUT, variant))
        for variant in ABOUT["variants"]
    }


def near(found: torch.Tensor, golden: np.ndarray, tolerance: float = 1e-4) -> bool:
    return found.shape == golden.shape and bool(np.abs(found.numpy() - golden).max() <= tolerance * golden.std())


def check(vocoder: UnitVocoder, arrays: dict[str, np.ndarray], about: dict) -> None:
    codes = torch.from_numpy(arrays["codes"])
    named = {key: about[key] for key in ("speaker_id", "style_id", "dur_prediction") if key in about}
    f0 = torch.from_numpy(arrays["f0"]) if "f0" in arrays else None
    wav = vocoder(codes, f0=f0, **named)
    assert near(wav, arrays["audio"])
    assert wav.shape == (about["samples"],)
    options = {"speaker": named.get("speaker_id"), "style": named.get("style_id"), "f0": None if f0 is None else [f0]}
    if named.get("dur_prediction"):
        speech = vocoder.speak([codes[codes >= 0]], **options)[0]
        assert speech.durations.tolist() == arrays["durations"].tolist()
        assert near(speech.wav[0], arrays["audio"])


@pytest.mark.parametrize(("variant", "case"), CASES)
def test_published_vocoders(vocoders, variant, case):
    prefix = f"{variant}/{case}/"
    arrays = {key.removeprefix(prefix): value for key, value in ARRAYS.items() if key.startswith(prefix)}
    about = ABOUT["variants"][variant]
    vocoder = vocoders[variant]
    check(vocoder, arrays, about["cases"][case])
    assert (vocoder.k, vocoder.frame_rate) == (50, 16000 / about["hop"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unit_hifigan_full_640", "unit_hifigan_full_320"])
def test_published_sizes(name, tmp_path):
    about, arrays = goldens.load(name)
    (variant,) = about["variants"]
    vocoder = UnitVocoder.from_pretrained(published_folder(tmp_path / variant, about, variant))
    for case, facts in about["variants"][variant]["cases"].items():
        prefix = f"{variant}/{case}/"
        check(vocoder, {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)}, facts)


def test_the_generator_of_the_training_golden(tmp_path):
    about, arrays = goldens.load("unit_hifigan_losses")
    shapes = {key: value for key, value in about["state_dict"].items() if key.startswith("generator.")}
    state = {key.removeprefix("generator."): value for key, value in goldens.weights(shapes).items()}
    torch.save({"generator": state}, tmp_path / "generator.pt")
    (tmp_path / "config.json").write_text(json.dumps(about["generator_config"]))
    vocoder = UnitVocoder.from_pretrained(tmp_path)
    for codes, golden in zip(about["losses"]["duration_targets"]["codes"], arrays["generator/audio"], strict=True):
        assert near(vocoder(torch.tensor(codes)), golden.reshape(-1))

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from speechtokenizer import SpeechTokenizer
from tests.reference import goldens
from tests.reference.codec_files import speechtokenizer_folder

pytestmark = pytest.mark.golden
ABOUT, ARRAYS = goldens.load("speechtokenizer_small")
LENGTHS = ("n1", "n319", "n320", "n321", "n641", "n3201", "n16007")


def speech() -> torch.Tensor:
    return goldens.speech()[0][None, :, :16000]


def inputs(case: str) -> torch.Tensor:
    if case == "speech":
        return speech()
    if case == "batch":
        made = 0.1 * np.random.RandomState(goldens.seed() + 20).standard_normal((2, 1, 4800))
        return torch.from_numpy(made.astype(np.float32))
    return goldens.noise(int(case[1:]), goldens.seed() + LENGTHS.index(case))[None]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SpeechTokenizer]:
    root = tmp_path_factory.mktemp("speechtokenizer")
    return {
        variant: SpeechTokenizer.from_pretrained(speechtokenizer_folder(root / variant, ABOUT, ARRAYS, variant))
        for variant in ABOUT["variants"]
    }


def near(found: torch.Tensor, golden: np.ndarray, tolerance: float = 1e-4) -> bool:
    found_array = found.detach().numpy()
    scale = golden.std() if golden.size > 1 else np.abs(golden).max() + 1e-6
    return found_array.shape == golden.shape and bool(np.abs(found_array - golden).max() <= tolerance * scale)


def alike(found: torch.Tensor, golden: np.ndarray) -> bool:
    assert found.dtype == torch.int64
    return found.shape == golden.shape and bool((found.numpy() != golden).mean() <= 0.005)


CASES = sorted({tuple(key.split("/")[:2]) for key in ARRAYS if not key.split("/")[1].startswith("codebook")})


@pytest.mark.parametrize(("variant", "case"), CASES)
def test_latents_codes_and_audio(models, variant, case):
    model, x = models[variant], inputs(case)
    arrays = {key.split("/")[2]: ARRAYS[key] for key in ARRAYS if key.startswith(f"{variant}/{case}/")}
    every = 4 if case in ("n16007", "speech") else 1
    with torch.no_grad():
        assert near(model.encoder(x[:, 0])[..., ::every], arrays["encoder"])
    assert alike(model.encode(x), arrays["codes"])
    if "decode" in arrays:
        assert near(model.decode(torch.from_numpy(arrays["codes"])), arrays["decode"])


@pytest.mark.parametrize("variant", ABOUT["variants"])
def test_chosen_levels(models, variant):
    model, x = models[variant], inputs("n3201")
    golden = {key: value for key, value in ARRAYS.items() if key.startswith(f"{variant}/n3201/")}
    golden = {key.removeprefix(f"{variant}/n3201/"): value for key, value in golden.items()}
    codes = torch.from_numpy(golden["codes"])
    assert near(model.decode(codes[:1]), golden["decode_first"])
    assert near(model.decode(codes[1:], st=1), golden["decode_rest_st1"])
    assert near(model.decode(codes[1:2], st=1), golden["decode_middle_st1"])
    for name in [key for key in golden if key.startswith("codes_")]:
        asked = re.fullmatch(r"codes(?:_n_q(\d))?(?:_st(\d))?", name).groups()
        assert alike(model.encode(x, *(None if number is None else int(number) for number in asked)), golden[name]), (
            name
        )
    levels = [key for key in golden if key.startswith("forward_feature/")]
    for level, feature in enumerate(model.forward_feature(x)):
        assert near(feature, golden[f"forward_feature/{level}"])
    assert len(levels) == model.num_codebooks
    picked = model.forward_feature(x, layers=[2, 0])
    assert [near(f, golden[f"forward_feature/{level}"]) for f, level in zip(picked, (0, 2), strict=True)] == [True] * 2


@pytest.mark.parametrize("variant", ABOUT["variants"])
def test_forward(models, variant):
    model, x = models[variant], inputs("n3201")
    for name, asked in (("forward", {}), ("forward_n_q2_layers1", {"n_q": 2, "layers": [1]})):
        audio, commitment, feature = model(x, **asked)
        assert near(audio, ARRAYS[f"{variant}/n3201/{name}/audio"])
        assert near(feature, ARRAYS[f"{variant}/n3201/{name}/feature"])
        assert float(commitment) == 0.0 == float(ARRAYS[f"{variant}/n3201/forward/commitment"])


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["elu", "snake"])
def test_the_published_size(variant, tmp_path: Path):
    about, arrays = goldens.load("speechtokenizer_full")
    folder = speechtokenizer_folder(tmp_path / variant, about, arrays, variant)
    model = SpeechTokenizer.from_pretrained(folder)
    (folder / "SpeechTokenizer.pt").unlink()
    inputs = {"n4801": goldens.noise(4801, goldens.seed())[None], "speech": speech()}
    for case, x in inputs.items():
        golden = {key.split("/", 2)[2]: arrays[key] for key in arrays if key.startswith(f"{variant}/{case}/")}
        with torch.no_grad():
            assert near(model.encoder(x[:, 0])[:, ::16, ::2], golden["encoder"], 1e-3)
        assert alike(model.encode(x), golden["codes"])
        codes = torch.from_numpy(golden["codes"])
        if "decode" in golden:
            thin = 2 if (variant, case) == ("elu", "speech") else 1
            assert near(model.decode(codes)[..., ::thin], golden["decode"], 1e-3)
        if "codes_st1" in golden:
            assert near(model.decode(codes[:1])[..., ::4], golden["decode_first"], 1e-3)
            assert near(model.decode(codes[1:], st=1)[..., ::4], golden["decode_rest_st1"], 1e-3)
            assert alike(model.encode(x, st=1), golden["codes_st1"])
            assert near(model(x)[2][:, ::4, ::8], golden["forward/feature"], 1e-3)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from soundstream import SoundStream, TransformerConfig, load
from soundstream.published import transformer_state
from soundstream.transformer import Transformer
from tests.reference import goldens
from tests.reference.codec_files import soundstream_file

pytestmark = pytest.mark.golden


def mimi_file(path: Path, about: dict, arrays: dict[str, np.ndarray]) -> Path:
    rules = {
        "*.scale": lambda made: 5 * made.abs(),
        "*._initialized": torch.ones(1),
        "*.cluster_usage": torch.ones_like,
    }
    state = goldens.weights(about["state_dict"], rules)
    for key in [key for key in state if key.endswith("embedding_sum")]:
        part, level = key.split(".")[1], int(key.split(".")[4])
        scale, mean = (torch.from_numpy(arrays[f"{part}/codebook_{name}"][level]) for name in ("scale", "mean"))
        state[key] = state[key] * 16**0.5 * scale + mean
    torch.save(state, path)
    return path


def near(found: torch.Tensor, golden: np.ndarray, tolerance: float = 1e-4) -> bool:
    found_array = found.detach().numpy()
    return found_array.shape == golden.shape and bool(np.abs(found_array - golden).max() <= tolerance * golden.std())


def alike(found: torch.Tensor, golden: np.ndarray) -> bool:
    assert found.dtype == torch.int64
    return found.shape == golden.shape and bool((found.numpy() != golden).mean() <= 0.005)


def check_codec(model: SoundStream, about: dict, arrays: dict[str, np.ndarray], inputs: dict[str, torch.Tensor]) -> int:
    """Compare everything that the golden has of each input; how many arrays that was."""
    compared = 0
    for case, wav in inputs.items():
        golden = {key.split("/")[1]: arrays[key] for key in arrays if key.startswith(f"{case}/")}
        assert near(model.encode_latents(wav, model.sample_rate)[0], golden["encoder_output"])
        for name, array in golden.items():
            kind, _, bandwidth = name.partition("_bw")
            if kind == "codes":
                codes = model.encode(wav, model.sample_rate, float(bandwidth))
                assert alike(codes[0], array), (case, name)
                assert codes.shape[1] == about["n_q_of_bandwidth"][bandwidth]
            elif kind == "audio":
                codes = torch.from_numpy(golden[f"codes_bw{bandwidth}"])[None]
                assert near(model.decode(codes)[0], array), (case, name)
            elif kind == "audio_latent":
                assert near(model.decode_latents(torch.from_numpy(golden["encoder_output"])[None])[0], array)
            compared += kind != "input"
    return compared


SMALL = goldens.load("soundstream_small")


def small_inputs() -> dict[str, torch.Tensor]:
    lengths = {"noise1": 1537, "noise2": 301, "short": 5, "one": 1}
    made = {name: goldens.noise(n, goldens.seed() + i) for i, (name, n) in enumerate(lengths.items())}
    return made | {"speech": torch.from_numpy(SMALL[1]["speech/input"])[None]}


@pytest.mark.parametrize("flat", [True, False])
def test_codes_and_audio_at_every_bandwidth(tmp_path: Path, flat: bool):
    model = load(soundstream_file(tmp_path / "published.pt", *SMALL, flat), sample_rate=3000)
    assert (model.hop, model.frame_rate, model.num_codebooks) == (30, 100.0, SMALL[0]["n_q"])
    assert model.bandwidths == (1.0, 2.0, 3.0, 4.0)
    assert model.config.seanet.strides == tuple(reversed(SMALL[0]["config"]["ratios"]))
    assert check_codec(model, *SMALL, small_inputs()) == 5 * 10


@pytest.mark.parametrize("name", ["causal_reflect", "causal_constant", "centred_constant"])
def test_other_paddings(tmp_path: Path, name: str):
    causal, mode = name.split("_")
    file = soundstream_file(tmp_path / "published.pt", *SMALL, True)
    model = load(file, causal=causal == "causal", pad_mode=mode, sample_rate=3000)
    for case in ("noise1", "speech"):
        golden = {key: SMALL[1][f"{name}/{case}/{key}"] for key in ("encoder_output", "audio_latent")}
        with torch.no_grad():
            assert near(model.encoder(small_inputs()[case])[0], golden["encoder_output"])
            assert near(model.decoder(torch.from_numpy(golden["encoder_output"])[None])[0], golden["audio_latent"])


@pytest.mark.slow
def test_the_published_size(tmp_path: Path):
    about, arrays = goldens.load("soundstream_full")
    model = load(soundstream_file(tmp_path / "published.pt", about, arrays, False))
    inputs = {
        "speech": torch.from_numpy(arrays["speech/input"])[None],
        "noise": goldens.noise(5001, goldens.seed()),
        "short": goldens.noise(100, goldens.seed() + 1),
    }
    assert sum(parameter.numel() for parameter in model.parameters()) < about["parameters"]
    assert (model.sample_rate, model.frame_rate) == (24000, about["frame_rate"])
    assert check_codec(model, about, arrays, inputs) == 25


@pytest.mark.parametrize(("context", "name"), [(10, "whole"), (9, "window9")])
def test_mimis_transformer(context: int, name: str):
    about, arrays = goldens.load("mimi_transformer_small")
    state = goldens.weights(about["state_dict"], {"*layer_scale.scale": lambda made: 5 * made.abs()})
    transformer = Transformer(32, TransformerConfig(layers=3, heads=4, hidden=64, context=context))
    transformer.load_state_dict(transformer_state(state, heads=4))
    made = np.random.RandomState(goldens.seed()).standard_normal(3840).reshape(2, 60, 32)
    assert near(transformer(torch.from_numpy(made.astype(np.float32)).mT).mT, arrays[name])


MIMI = goldens.load("mimi_small")


def mimi(folder: Path, context: int) -> SoundStream:
    return load(mimi_file(folder / "mimi.pt", *MIMI), sample_rate=1200, heads=4, context=context)


def mimi_wav() -> torch.Tensor:
    return 3 * goldens.noise(1920, goldens.seed())


@pytest.mark.parametrize("context", [10, 200])
def test_mimi_whole(tmp_path: Path, context: int):
    model, arrays = mimi(tmp_path, context), MIMI[1]
    golden = arrays if context == 10 else {key[11:]: arrays[key] for key in arrays if key.startswith("context200/")}
    assert (model.hop, model.frame_rate, model.num_codebooks) == (48, 25.0, 5)
    latents = model.encode_latents(mimi_wav(), 1200)
    assert near(latents[0], golden["latent"])
    if context == 10:
        assert alike(model.encode(mimi_wav(), 1200)[0], golden["codes"])
        assert near(model.dequantize(torch.from_numpy(golden["codes"])[None])[0], golden["quantized"])
        assert near(model.decode_latents(torch.from_numpy(golden["latent"])[None])[0], golden["audio_of_latent"])
        assert alike(model.encode(mimi_wav()[:, :1001], 1200)[0], golden["odd/codes"])
    assert near(model.decode(torch.from_numpy(arrays["codes"])[None])[0], golden["audio"])


@pytest.mark.parametrize("frames", [1, 2, 7, 40])
def test_mimi_in_chunks(tmp_path: Path, frames: int):
    model, golden = mimi(tmp_path, 10), MIMI[1]
    stream = model.streaming()
    codes = [stream.encode(chunk) for chunk in mimi_wav().split(frames * 48, 1)]
    assert alike(torch.cat(codes, -1)[0], golden["codes"])
    chunks = torch.from_numpy(golden["codes"])[None].split(frames, -1)
    assert near(torch.cat([stream.decode(chunk) for chunk in chunks], -1)[0], golden["audio"])

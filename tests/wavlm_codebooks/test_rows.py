"""The order of work for GPUs gives what the plain one gives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from slmcore.layers.fast import switch
from tests.reference import goldens
from tests.wavlm_codebooks.test_golden import case_wav, check_golden, load_published
from wavlm_codebooks import WavLM, WavLMConfig

SMALL = goldens.load_npz("wavlm_small")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> WavLM:
    return load_published("wavlm_small", tmp_path_factory.mktemp("small"))


@pytest.mark.golden
@pytest.mark.parametrize("key", SMALL)
def test_small_meets_the_published_features(small: WavLM, key: str) -> None:
    with switch.using("rehearse"):
        check_golden(small, key, SMALL[key])


@pytest.mark.parametrize("samples", [[4000, 2000, 400], [4000, 4000]], ids=str)
@pytest.mark.parametrize("layer", [None, 1])
def test_batches_equal_the_plain_ones(small: WavLM, samples: list[int], layer: int | None) -> None:
    wavs = [goldens.noise(n, seed) for seed, n in enumerate(samples)]
    expected = small.features_batch(wavs, 16000, layer)
    with switch.using("rehearse"):
        found = small.features_batch(wavs, 16000, layer)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_watched_blocks_and_gradients_go_the_plain_way(small: WavLM) -> None:
    wavs = torch.stack([goldens.noise(2000, seed)[0] for seed in range(2)])
    expected = small.mean_of_layers(wavs, 16000)
    with switch.using("rehearse"):
        torch.testing.assert_close(small.mean_of_layers(wavs, 16000), expected)
        small(wavs).sum().backward()
    assert small.position_bias.weight.grad is not None
    small.zero_grad()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    config = WavLMConfig(
        conv_layers=((512, 10, 5), *[(512, 3, 2)] * 4, *[(512, 2, 2)] * 2), dim=1024, ffn_dim=4096, heads=16, layers=11,
        conv_pos=128, conv_pos_groups=16, num_buckets=320, max_distance=800,
    )  # fmt: skip
    model = WavLM(config).eval().cuda()
    wavs = [goldens.noise(n, seed) for seed, n in enumerate((48000, 48000, 30000, 400))]
    expected = model.features_batch(wavs, 16000, 11)
    codes = expected[0][::3]  # frames of speech are nearest to themselves
    model.to(dtype)
    for some in (wavs, wavs[:2]):
        with switch.using("1"):
            found = model.features_batch(some, 16000, 11)
        for a, b in zip(found, expected, strict=False):
            atol = 1e-3 if dtype == torch.float32 else 0.1
            torch.testing.assert_close(a, b, atol=atol * float(b.std()), rtol=atol)
            if dtype == torch.float32:
                assert (
                    float((torch.cdist(a, codes).argmin(1) == torch.cdist(b, codes).argmin(1)).float().mean()) > 0.995
                )


@pytest.mark.gpu
@pytest.mark.golden
def test_small_meets_the_published_features_on_a_gpu(tmp_path: Path) -> None:
    model = load_published("wavlm_small", tmp_path).cuda()
    with switch.using("1"):
        for key, wanted in SMALL.items():
            case, layer = key.split("/layer")
            found = model.features(*case_wav(case), None if layer == "None" else int(layer)).cpu()
            thinned = found if len(found) == len(wanted) else found[::8]
            assert abs(thinned.numpy() - wanted).max() < 1e-3 * wanted.std()

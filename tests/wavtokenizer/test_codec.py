from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slmcore.files.checkpoint import Checkpoint
from slmcore.units import Codes
from tests.reference.recipe import recipe_tensor
from tests.reference.wavtokenizer import overlap_add
from wavtokenizer import WavTokenizer, WavTokenizerConfig
from wavtokenizer.decoder import inverse_stft
from wavtokenizer.norms import GroupNorm, LayerNorm

CONFIG = WavTokenizerConfig(
    sample_rate=16000,
    strides=(5, 4),
    n_filters=4,
    dimension=16,
    codebook_size=32,
    decoder_dim=64,
    decoder_intermediate=48,
    decoder_layers=2,
    n_fft=80,
)


def small() -> WavTokenizer:
    model = WavTokenizer(CONFIG)
    state = {name: recipe_tensor(name, tuple(value.shape)) for name, value in model.state_dict().items()}
    return WavTokenizer.from_checkpoint(Checkpoint(kind="wavtokenizer", config=CONFIG.to_dict(), state=state))


MODEL = small()
DOUBLE = copy.deepcopy(MODEL).double()
lengths = st.lists(st.integers(0, 30), min_size=1, max_size=5)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.3


def random_codes(sizes: list[int]) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(sum(sizes))
    return [torch.randint(CONFIG.codebook_size, (size,), generator=draw) for size in sizes]


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(320, 900))
def test_a_code_for_every_hop_begun(samples: int):
    codes = MODEL.encode(noise(1, samples), 16000)
    assert codes.shape == (1, 1, -(-samples // 20))
    assert codes.dtype == torch.int64
    wav, rate = MODEL.decode(codes)
    assert wav.shape == (1, codes.shape[-1] * 20)
    assert rate == 16000
    assert wav.dtype == torch.float32


@pytest.mark.parametrize("sr", [8000, 11025, 44100, 48000])
def test_other_rates_are_resampled(sr: int):
    import torchaudio.functional as audio

    wav = noise(1, sr // 10)
    expected = MODEL.encode(audio.resample(wav, sr, 16000), 16000)
    assert torch.equal(MODEL.encode(wav, sr), expected)


@torch.inference_mode()
def sensitivity(codes: torch.Tensor) -> float:
    """How far the waveform moves per relative error of the vectors, by a difference in float64.

    Groups of one frame normalise two values: where they nearly agree, an error grows a thousandfold.
    """
    if not len(codes):
        return 0.0
    vectors = DOUBLE.quantizer.decode(codes[None])
    errors = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(0), dtype=vectors.dtype)
    moved = DOUBLE.decoder(vectors * (1 + 1e-6 * errors))
    return float((moved - DOUBLE.decoder(vectors)).abs().max()) / 1e-6


@settings(max_examples=12, deadline=None)
@given(sizes=lengths)
@example(sizes=[2, 1, 11])
def test_decoding_in_a_batch_changes_nothing(sizes: list[int]):
    sequences = random_codes(sizes)
    for model in (MODEL, DOUBLE):
        together = model.decode_batch(sequences)
        for codes, wav in zip(sequences, together, strict=True):
            alone = model.decode(codes[None, None])[0][0]
            assert wav.shape == (len(codes) * 20,)
            rounding = torch.finfo(alone.dtype).eps * (1 + sensitivity(codes))
            assert torch.allclose(wav, alone, rtol=0, atol=200 * rounding)


def test_what_lies_beyond_the_end_cannot_leak():
    short, long = random_codes([6, 25])
    other = (long + 7) % CONFIG.codebook_size
    first, second = MODEL.decode_batch([short, long])[0], MODEL.decode_batch([short, other])[0]
    assert torch.equal(first, second)
    vectors = DOUBLE.quantizer.decode(torch.stack([long]))
    mask = torch.arange(25)[None, None] < 6
    clean = DOUBLE.decoder(vectors * mask, mask)[:, :120]
    assert torch.equal(DOUBLE.decoder(torch.where(mask, vectors, 1e3), mask)[:, :120], clean)


def test_encoding_in_a_batch_changes_nothing():
    wavs = [noise(n, seed=i) for i, n in enumerate([700, 500, 700, 330, 500])]
    together = MODEL.encode_batch(wavs, 16000)
    for wav, codes in zip(wavs, together, strict=True):
        assert torch.equal(codes, MODEL.encode(wav[None], 16000)[0, 0])
    assert MODEL.encode_batch([], 16000) == []


def test_no_codes_are_silence_of_length_zero():
    empty = torch.zeros(1, 1, 0, dtype=torch.int64)
    wav, rate = MODEL.decode(empty)
    assert (wav.shape, rate) == ((1, 0), 16000)
    assert MODEL.decode_batch([]) == []
    assert [len(w) for w in MODEL.decode_batch(random_codes([0, 3, 0]))] == [0, 60, 0]


def test_integer_codes_of_every_width_decode_alike():
    codes = random_codes([9])[0][None, None]
    for dtype in (torch.int16, torch.int32, torch.uint8, torch.uint16):
        assert torch.equal(MODEL.decode(codes.to(dtype))[0], MODEL.decode(codes)[0])


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(1, 12), hop=st.sampled_from([2, 4, 10]), times=st.sampled_from([1, 2, 4, 5]))
def test_inverse_stft_is_plain_overlap_add(frames: int, hop: int, times: int):
    n_fft = hop * times
    rs = np.random.RandomState(frames)
    shape = (n_fft // 2 + 1, frames)
    spectrum = rs.standard_normal(shape) + 1j * rs.standard_normal(shape)
    found = inverse_stft(torch.from_numpy(spectrum)[None], hop)[0].numpy()
    assert found.shape == (frames * hop,)
    if times > 1:
        expected = overlap_add(spectrum, hop)
        assert np.abs(found - expected).max() < 1e-9 * max(1, np.abs(expected).max())
    assert np.isfinite(found).all()


def test_inverse_stft_undoes_the_stft():
    wav, window = noise(1, 400).double(), torch.hann_window(80).double()
    frames = torch.nn.functional.pad(wav, (30, 30)).unfold(-1, 80, 20)
    spectrum = torch.fft.rfft(frames * window, dim=-1).mT
    assert torch.allclose(inverse_stft(spectrum, 20), wav, atol=1e-12)


def test_masked_group_norm_sees_only_what_is_inside():
    norm, x = GroupNorm(64).double(), noise(2, 64, 9, seed=3).double()
    torch.nn.init.normal_(norm.weight)
    mask = torch.arange(9)[None, None] < torch.tensor([9, 4])[:, None, None]
    found = norm(x, mask)
    assert torch.allclose(found[0], norm(x[:1])[0], atol=1e-12)
    assert torch.allclose(found[1, :, :4], norm(x[1:, :, :4])[0], atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_what_must_stay_float32(dtype: torch.dtype):
    half = copy.deepcopy(MODEL).to(dtype)
    kept = {k for k, v in half.state_dict().items() if v.dtype == torch.float32}
    norms = {
        f"{name}.{kind}"
        for name, module in MODEL.named_modules()
        if isinstance(module, LayerNorm | GroupNorm)
        for kind in ("weight", "bias")
    }
    assert kept == norms | {"quantizer.embed"}
    assert torch.equal(half.quantizer.embed, MODEL.quantizer.embed)
    codes = random_codes([12])[0][None, None]
    wav, reference = half.decode(codes)[0], MODEL.decode(codes)[0]
    assert wav.dtype == torch.float32
    assert float((wav - reference).std()) < 0.2 * float(reference.std())
    assert half.encode(noise(1, 640), 16000).shape == (1, 1, 32)


def test_training_reaches_every_weight_through_the_codes():
    model = small().train()
    wav = noise(3, 400)
    made = model(wav)
    assert made.wav.shape == wav.shape
    assert made.codes.shape == (3, 20)
    assert model(wav[:, :391]).wav.shape == (3, 391)
    ((made.wav - wav).abs().mean() + made.commitment).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert float(parameter.grad.abs().sum()) > 0 or name.endswith("key.bias"), name
    assert not model.quantizer.embed.requires_grad


def test_straight_through_gradient_and_commitment():
    latents = noise(2, 16, 5).double().requires_grad_()
    quantized, commitment, codes = DOUBLE.quantizer(latents)
    embed = DOUBLE.quantizer.embed
    nearest = torch.cdist(latents.detach().mT, embed[None]).argmin(-1)
    assert torch.equal(codes, nearest)
    assert torch.allclose(quantized.detach(), embed[codes].mT)
    downstream = noise(2, 16, 5, seed=1).double()
    (gradient,) = torch.autograd.grad((quantized * downstream).sum(), latents, retain_graph=True)
    assert torch.allclose(gradient, downstream)
    (gradient,) = torch.autograd.grad(commitment, latents)
    assert torch.allclose(gradient, 2 * (latents - embed[codes].mT) / latents.numel())


@pytest.mark.parametrize(
    ("wav", "sr", "message"),
    [
        (noise(400), 16000, r"`wav` must be a float tensor \(1, samples\)"),
        (noise(2, 400), 16000, "Average the channels"),
        (noise(1, 1, 400), 16000, "`wav`"),
        (noise(1, 400).numpy(), 16000, "`wav`"),
        (torch.ones(1, 400, dtype=torch.int16), 16000, "Divide 16-bit integers"),
        (noise(1, 319), 16000, "at least 320 samples"),
        (noise(1, 0), 16000, "at least"),
        (torch.full((1, 400), torch.nan), 16000, "finite"),
        (torch.full((1, 400), torch.inf), 16000, "finite"),
        (noise(1, 400), 0, "`sr`"),
        (noise(1, 400), -16000, "`sr`"),
        (noise(1, 400), 16000.5, "`sr`"),
        (noise(1, 400), "16k", "`sr`"),
        (noise(1, 400), float("inf"), "`sr`"),
    ],
)
def test_a_wrong_waveform_is_named(wav, sr, message):
    with pytest.raises(ValueError, match=message):
        MODEL.encode(wav, sr)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.zeros(4, dtype=torch.int64), r"\(1, 1, frames\)"),
        (torch.zeros(1, 2, 4, dtype=torch.int64), r"\(1, 1, frames\)"),
        (torch.zeros(2, 1, 4, dtype=torch.int64), r"\(1, 1, frames\)"),
        (torch.zeros(1, 1, 4), r"codes\.long"),
        (torch.ones(1, 1, 4, dtype=torch.bool), "torch.bool"),
        (torch.full((1, 1, 4), 32), "from 0 to 31, but is a tensor with values from 32 to 32"),
        (torch.full((1, 1, 4), -1), "from -1 to -1"),
        ([[[1]]], "integer tensor"),
    ],
)
def test_wrong_codes_are_named(codes, message):
    with pytest.raises(ValueError, match=message):
        MODEL.decode(codes)


def test_wrong_codes_in_a_batch_are_named():
    with pytest.raises(ValueError, match=r"\(frames,\)"):
        MODEL.decode_batch([torch.zeros(1, 4, dtype=torch.int64)])
    with pytest.raises(ValueError, match="0 to 31"):
        MODEL.decode_batch([torch.zeros(4, dtype=torch.int64), torch.tensor([99])])


def test_the_codecs_role_is_its_published_verbs():
    wav = noise(1, 700)
    codes = MODEL.encode_wav(wav, 16000)
    assert torch.equal(codes.codes, MODEL.encode(wav, 16000)[0])
    assert (codes.frame_rate, codes.codebook_size, MODEL.num_codebooks) == (800.0, 32, 1)
    assert torch.equal(MODEL.decode_codes(codes), MODEL.decode(codes.codes[None])[0])
    with pytest.raises(ValueError, match="at most 1 codebooks"):
        MODEL.decode_codes(Codes(codes.codes.repeat(2, 1), 800.0, 32))
    with pytest.raises(ValueError, match="at 800 Hz"):
        MODEL.decode_codes(Codes(codes.codes, 40.0, 32))

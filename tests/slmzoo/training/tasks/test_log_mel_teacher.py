from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slmcore import audio
from slmzoo.training.loop.task import generator
from slmzoo.training.tasks.log_mel_teacher import LogMelTeacher

SAMPLE = Path(__file__).parents[4] / "examples" / "sample.wav"


def speech(hop: int, frames: int) -> torch.Tensor:
    wav = audio.load(SAMPLE)[0][0]
    starts = torch.randint(len(wav) - hop * frames, (24,), generator=generator(0, 0)).tolist()
    return torch.stack([wav[start : start + hop * frames] for start in starts])


def test_the_components_are_those_of_numpys_log_mel_spectra():
    wavs, teacher = speech(400, 12), LogMelTeacher(16000, 400, 20)
    teacher.start(wavs)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    logs = []
    for wav in wavs.double().numpy():
        # Four windows a frame, each around the middle of a quarter of it.
        padded = np.pad(wav, (206, 206))
        pieces = np.stack([padded[100 * i : 100 * i + 512] for i in range(48)])
        mel = np.abs(np.fft.rfft(pieces * window)) / window.sum() @ teacher.spectrum.bank.double().numpy()
        logs.append(np.log(mel + 1e-4).reshape(12, -1))
    rows = np.concatenate(logs)
    _, sizes, axes = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    wanted = (rows - rows.mean(0)) @ axes[:20].T
    wanted /= np.sqrt((wanted**2).mean())
    found = teacher(wavs).mT.flatten(0, 1).double().numpy()
    signs = np.sign((wanted * found).sum(0))
    assert np.allclose(found, wanted * signs, atol=1e-3)
    assert sizes[0] > sizes[19]


def test_components_keep_distances_and_those_that_are_not_there_are_zero():
    wavs, teacher = speech(25, 40), LogMelTeacher(16000, 25, 80)
    teacher.start(wavs)
    found, spectra = teacher(wavs).mT.flatten(0, 1), teacher._spectra(wavs).flatten(0, 1)
    ratio = torch.pdist(found) / torch.pdist(spectra)
    assert float(ratio.max()) == pytest.approx(float(ratio.min()), rel=1e-3)
    size = spectra.shape[1]
    assert size < 80
    assert not found[:, size:].any()
    assert float(found.square().mean()) == pytest.approx(size / 80, rel=1e-3)


@pytest.mark.parametrize("whitening", [0.5, 1.0])
def test_whitening_evens_out_the_variances_of_the_same_components(whitening: float):
    wavs = speech(400, 12)
    plain, even = LogMelTeacher(16000, 400, 20), LogMelTeacher(16000, 400, 20, whitening)
    plain.start(wavs)
    even.start(wavs)
    before, after = (teacher(wavs).mT.flatten(0, 1).double() for teacher in (plain, even))
    wanted = before / before.std(0) ** whitening
    assert torch.allclose(after, wanted / wanted.square().mean().sqrt(), atol=1e-3)
    assert float(after.std(0)[0] / after.std(0)[19]) == pytest.approx(
        float(before.std(0)[0] / before.std(0)[19]) ** (1 - whitening), rel=1e-3
    )


@pytest.mark.parametrize("hop", [200, 320, 321, 600, 1200])
def test_a_frame_of_the_codec_is_one_of_the_teacher(hop: int):
    teacher = LogMelTeacher(24000, hop, 8)
    assert teacher(torch.zeros(2, hop * 5)).shape == (2, 8, 5)

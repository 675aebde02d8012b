"""Long audio: accuracy of the encoder's windows, and intelligibility of long resynthesis.

python benchmarks/long_audio.py windows AUDIO [AUDIO ...]      files, joined to 120 s of speech
python benchmarks/long_audio.py resynthesis [--seconds 600]    everyday sentences spoken by flite, one by one and joined
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import timed, write
from slmcore import audio
from slmcore.encoders.waveforms import Windows
from slmcore.pauses import pauses
from slmzoo import hub
from slmzoo.evaluation.speech import wer
from slmzoo.evaluation.speech.asr import recogniser
from slmzoo.pipeline import Pipeline, Speech
from slmzoo.recipes.speech.everyday import MORE, PLAIN
from slmzoo.recipes.speech.flite import speak
from slmzoo.segments import segments_of

SECONDS = 120
RATE = 16000
STRETCHES = (1.0, 1.15, 0.9)
"""Lengths of the sentences relative to the voice's own rate, in the first, second and third pass."""
HEARD_AT_ONCE = 15.0
"""Longest segment of the recogniser, seconds."""


def joined(paths: list[str]) -> Tensor:
    """Mono speech at 16 kHz, (1, 120 s)."""
    parts: list[Tensor] = []
    for file in audio.find(paths):
        wav, rate = audio.load(file)
        parts.append(audio.resample(wav, rate, RATE))
    wav = torch.cat(parts, 1)
    if wav.shape[1] < SECONDS * RATE:
        raise SystemExit(f"The files hold {wav.shape[1] / RATE:.0f} s of speech; {SECONDS} s are needed.")
    return wav[:, : SECONDS * RATE]


def compare(wav: Tensor, zoo: str) -> dict[str, Any]:
    """Error of the features relative to their standard deviation, and the share of frames that keep their unit."""
    pipeline = hub.pipeline(zoo=zoo, with_ulm=False, with_speech=False)
    encoder, layer = pipeline.encoder, pipeline.operating_point.layer
    cut = encoder.features(wav, RATE, layer)
    encoder.windows = Windows(whole=10 * SECONDS)
    whole = encoder.features(wav, RATE, layer)
    nearest = [torch.cdist(x, pipeline.quantizer.codebook).argmin(1) for x in (cut, whole)]
    dpdp = [pipeline.quantizer(x)[1] for x in (cut, whole)]
    error = (cut - whole).abs() / whole.std()
    return {
        "seconds": SECONDS,
        "zoo": zoo,
        "features_mean_error_over_std": float(error.mean()),
        "features_99_percentile_error_over_std": float(error.flatten()[::7].quantile(0.99)),
        "share_of_frames_that_keep_their_nearest_code": float((nearest[0] == nearest[1]).double().mean()),
        "share_of_frames_that_keep_their_dpdp_unit": float((dpdp[0] == dpdp[1]).double().mean()),
    }


def spoken(seconds: float, folder: Path) -> list[tuple[str, Tensor]]:
    """Sentences and their wavs (1, samples) at 16 kHz, until `seconds` are full."""
    utterances: list[tuple[str, Tensor]] = []
    sentences, at, total = (*PLAIN, *MORE), 0, 0
    for stretch in cycle(STRETCHES):
        for sentence in sentences:
            if total >= seconds * RATE:
                return utterances
            speak(sentence, folder / f"{at}.wav", stretch=stretch)
            utterances.append((sentence, audio.load(folder / f"{at}.wav")[0]))
            total, at = total + utterances[-1][1].shape[1], at + 1
    return utterances


def word_error_rate(sentences: list[str], wav: Tensor) -> float:
    """Word errors of speech (1, samples) at 16 kHz, recognised in segments, over all words of the sentences."""
    listen = recogniser()
    edges = [0, *pauses(wav, RATE, HEARD_AT_ONCE), wav.shape[1]]
    hypothesis = " ".join(listen(wav[:, a:b], RATE) for a, b in pairwise(edges))
    (errors,) = wer.errors({"all": " ".join(sentences)}, {"all": hypothesis}).values()
    return errors.word_errors / errors.words


def greedy(pipeline: Pipeline, wavs: list[Tensor]) -> list[Speech]:
    """Greedy resynthesis of each of the wavs (1, samples) at 16 kHz."""
    return [pipeline.resynthesize(wav, RATE, top_p=0)[0] for wav in wavs]


def resynthesis(seconds: float, zoo: str) -> dict[str, Any]:
    """Length and word error rate of long speech, and of its sentences one by one, all greedy."""
    pipeline = hub.pipeline(zoo=zoo, with_ulm=False)
    with tempfile.TemporaryDirectory() as folder:
        utterances = spoken(seconds, Path(folder))
    sentences, wavs = [sentence for sentence, _ in utterances], [wav for _, wav in utterances]
    whole = torch.cat(wavs, 1)
    made: dict[str, list[Speech]] = {"one_by_one": [], "in_one": []}
    cases = {"one_by_one": wavs, "in_one": [whole]}
    spent = {name: timed(lambda n=name: made[n].extend(greedy(pipeline, cases[n]))) for name in cases}
    figures: dict[str, Any] = {
        "zoo": zoo,
        "sentences": len(utterances),
        "seconds": whole.shape[1] / RATE,
        "word_error_rate_of_the_original": word_error_rate(sentences, whole),
    }
    for name, speech in made.items():
        wav = torch.cat([audio.resample(s.wav, s.sample_rate, RATE) for s in speech], 1)
        figures[name] = {
            "length": wav.shape[1] / whole.shape[1],
            "finished": sum(s.finished for s in speech) / len(speech),
            "word_error_rate": word_error_rate(sentences, wav),
            "real_time_factor": spent[name] * RATE / whole.shape[1],
        }
    return {**figures, "segments": len(segments_of(whole, RATE, pipeline.synthesizer.longest_segment))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("windows", "resynthesis"))
    parser.add_argument("audio", nargs="*")
    parser.add_argument("--zoo", default="demo")
    parser.add_argument("--seconds", type=float, default=600.0)
    arguments = parser.parse_args()
    if arguments.what == "windows":
        write("long_audio", compare(joined(arguments.audio), arguments.zoo))
    else:
        write("long_audio_resynthesis", resynthesis(arguments.seconds, arguments.zoo))

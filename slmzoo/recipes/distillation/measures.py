"""Measures of a codec in the experiment, by sentence where paired comparisons are possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore import audio
from slmcore.layers.spectral import SpectralLoss
from slmzoo.evaluation.speech import wer
from slmzoo.evaluation.speech.asr import hear
from slmzoo.evaluation.speech.intelligibility import stoi
from slmzoo.evaluation.units import abx
from slmzoo.evaluation.units.phones import labels
from slmzoo.recipes.distillation.corpus import HELD_OUT_VOICES, Corpus, Sentence
from slmzoo.recipes.distillation.denoiser import NOISE_LEVELS, errors_of, trained_denoiser
from soundstream import SoundStream

__all__ = ["Values", "measure"]

_RATE = 16_000
_SIGMAS = (0.1, 0.2, 0.5)
_RIDGE = 1e-3


@dataclass(frozen=True)
class Values:
    """A measure by its items: sentences, or pairs of phones for ABX."""

    items: list[str]
    values: list[float]
    weights: list[float]

    @classmethod
    def of(cls, rows: Sequence[tuple[str, float, float]]) -> Values:
        """Join (item, value, weight) rows."""
        items, values, weights = zip(*rows, strict=True)
        return cls(list(items), list(values), list(weights))


@torch.no_grad()
def measure(codec: SoundStream, corpus: Corpus, folder: Path, denoiser_steps: int, with_wer: bool) -> dict[str, Values]:
    """Return all measures of a codec by name; copies for the recogniser are written to `folder`."""
    views = {"level 1": lambda wav: _level_1(codec, wav), "latents": lambda wav: codec.latents(wav, _RATE)[0]}
    all_levels = {"all levels": lambda wav: codec.dequantize(codec.encode(wav, _RATE))[0].float()}
    measures: dict[str, Values] = {}
    for name, view in {**views, **all_levels}.items():
        if name in views:
            measures |= _abx(name, view, corpus, codec.frame_rate)
        measures |= _probes(name, view, corpus, codec.frame_rate)
    return measures | _quality(codec, corpus, folder, with_wer) | _fitness(codec, corpus, denoiser_steps)


def _level_1(codec: SoundStream, wav: Tensor) -> Tensor:
    """Return the latents quantised by level 1 alone, (dimension, frames)."""
    return codec.dequantize(codec.encode(wav, _RATE)[:, :1])[0].float()


def _abx(name: str, view: Callable[[Tensor], Tensor], corpus: Corpus, rate: float) -> dict[str, Values]:
    features = {sentence.name: view(sentence.wav()).mT for sentence in corpus.held_out}
    items = [item for sentence in corpus.held_out for item in sentence.items()]
    pieces = abx.cut(features, items, rate)
    framed = [i for i, piece in enumerate(pieces) if len(piece)]
    kept, pieces = [items[i] for i in framed], [pieces[i] for i in framed]
    errors_by_task: dict[str, Values] = {}
    for speaker in ("within", "across"):
        task: dict[str, Any] = {"speaker": speaker, "context": "any", "most": 8, "most_speakers": 2}
        table = abx.tables(abx.cells(pieces, kept, **task))
        rows = [("/".join(pair), error, 1.0) for pair, errors in sorted(table.items()) for error in errors.values()]
        if rows:
            errors_by_task[f"ABX {speaker} speaker, {name}"] = Values.of(rows)
    return errors_by_task


def _probes(name: str, view: Callable[[Tensor], Tensor], corpus: Corpus, rate: float) -> dict[str, Values]:
    """Linear probes of phones, trained on other voices, and of the voice."""
    seen = {s: view(s.wav()).mT for s in (*corpus.training, *corpus.held_out)}
    phone = _probe(corpus, seen, lambda s, n: labels(s.intervals(), n, rate), lambda s: s.voice not in HELD_OUT_VOICES)
    voice = _probe(corpus, seen, lambda s, n: [s.voice] * n, lambda s: True)
    return {f"phones by a linear probe, {name}": phone, f"voice by a linear probe, {name}": voice}


def _probe(
    corpus: Corpus,
    seen: Mapping[Sentence, Tensor],
    truth: Callable[[Sentence, int], Sequence[str | None]],
    chosen: Callable[[Sentence], bool],
) -> Values:
    """Frame accuracy of a ridge regression to one-hot labels, for each held-out sentence; `seen` are the features."""
    training = [(seen[s], s) for s in corpus.training if chosen(s)]
    targets = [truth(s, len(x)) for x, s in training]
    names = sorted({label for sequence in targets for label in sequence if label is not None})
    number = {label: i for i, label in enumerate(names)}
    known = (_known(features, of, number) for (features, _), of in zip(training, targets, strict=True))
    x, y = (torch.cat(parts) for parts in zip(*known, strict=True))
    weights = _ridge(x, torch.nn.functional.one_hot(y, len(names)).double())
    rows = []
    for sentence in corpus.held_out:
        features = seen[sentence]
        inputs, expected = _known(features, truth(sentence, len(features)), number)
        hit = (_with_one(inputs) @ weights).argmax(1) == expected
        rows.append((sentence.name, float(hit.double().mean()), float(len(hit))))
    return Values.of(rows)


def _known(features: Tensor, targets: Sequence[str | None], number: dict[str, int]) -> tuple[Tensor, Tensor]:
    pairs = [(i, number[label]) for i, label in enumerate(targets) if label is not None and label in number]
    at = torch.tensor([i for i, _ in pairs], dtype=torch.int64)
    return features[at].double(), torch.tensor([n for _, n in pairs], dtype=torch.int64)


def _ridge(x: Tensor, y: Tensor) -> Tensor:
    x = _with_one(x)
    gram = x.T @ x
    return torch.linalg.solve(gram + _RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=x.dtype), x.T @ y)


def _with_one(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)


def _quality(codec: SoundStream, corpus: Corpus, folder: Path, with_wer: bool) -> dict[str, Values]:
    """Mel distance, STOI and words of copies from codes and from latents, with noise and without."""
    most = codec.num_codebooks
    copies: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        f"codes of {n} levels": lambda z, _, n=n: _coded(codec, z, n) for n in dict.fromkeys((1, min(2, most), most))
    }
    copies["latents"] = lambda z, _: z
    for sigma in _SIGMAS:
        scale = codec.latent_scale.deviation[:, None] * sigma
        copies[f"latents, noise {sigma}"] = lambda z, noise, scale=scale: z + scale * noise
    spectral, measures = SpectralLoss(_RATE), {}
    wavs = {s.name: s.wav() for s in corpus.held_out}
    latents = {name: codec.encode_latents(wav, _RATE) for name, wav in wavs.items()}
    for name, change in copies.items():
        speech = {n: _copy(codec, z, change, i)[:, : wavs[n].shape[1]] for i, (n, z) in enumerate(latents.items())}
        mel = [(n, float(spectral(speech[n], wav)[0]), 1.0) for n, wav in wavs.items()]
        measures[f"mel distance, {name}"] = Values.of(mel)
        if not name.startswith("latents, noise"):
            rows = [(n, stoi(wav, speech[n], _RATE), 1.0) for n, wav in wavs.items()]
            measures[f"STOI, {name}"] = Values.of(rows)
        if with_wer:
            measures[f"WER, {name}"] = _words(speech, corpus, folder / name.replace(" ", "-").replace(",", ""))
    return measures


def _coded(codec: SoundStream, latents: Tensor, levels: int) -> Tensor:
    return codec.dequantize(codec.quantize(latents)[:, :levels])


def _copy(codec: SoundStream, latents: Tensor, change: Callable[[Tensor, Tensor], Tensor], number: int) -> Tensor:
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(number))
    return codec.decode_latents(change(latents, noise))


def _words(made: dict[str, Tensor], corpus: Corpus, folder: Path) -> Values:
    """Word errors of the recogniser pocketsphinx on copies, weighted by the words of each sentence."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, wav in made.items():
        audio.write(folder / f"{name}.wav", wav, _RATE)
    hypotheses = hear([folder / f"{name}.wav" for name in made])
    references = {sentence.name: sentence.text for sentence in corpus.held_out}
    errors = wer.errors(references, dict(zip(made, hypotheses, strict=True)))
    return Values.of([(name, e.word_errors / e.words, float(e.words)) for name, e in errors.items()])


def _fitness(codec: SoundStream, corpus: Corpus, steps: int) -> dict[str, Values]:
    """Suitability for diffusion: divergence from N(0, 1), correlations, and the errors of a small denoiser."""
    training = [codec.latents(s.wav(), _RATE)[0] for s in corpus.training]
    report = codec.measure_latents((s.wav()[0] for s in corpus.training), _RATE)
    held_out = {s.name: codec.latents(s.wav(), _RATE)[0] for s in corpus.held_out}
    with torch.enable_grad():
        model = trained_denoiser(training, steps, seed=0)
    rows: dict[str, list[tuple[str, float, float]]] = {"divergence from N(0, 1), nats a channel": []}
    for number, (name, z) in enumerate(held_out.items()):
        mean, variance = z.mean(1), z.var(1, unbiased=False).clamp(min=1e-6)
        divergence = 0.5 * (variance + mean.square() - 1 - variance.log())
        rows["divergence from N(0, 1), nats a channel"].append((name, float(divergence.mean()), float(z.shape[1])))
        for share, error in zip(NOISE_LEVELS, errors_of(model, z, number), strict=True):
            rows.setdefault(f"denoising error, noise {share}", []).append((name, error, float(z.shape[1])))
    measures = {name: Values.of(triples) for name, triples in rows.items()}
    whole = {"effective rank": report.effective_rank, "lag-1 correlation": report.lag_1, "largest |z|": report.largest}
    return measures | {f"{name} of the latents": Values(["all"], [value], [1.0]) for name, value in whole.items()}

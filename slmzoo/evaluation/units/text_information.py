"""Mutual information of tokens and text (or phones), bounded as in SLMTokBench, whose code is not published.

Zhang et al., "SpeechTokenizer" (arXiv 2308.16692), with vCLUB of Cheng et al. (arXiv 2006.12013): of N recordings with
tokens x and text y, I(X; Y) is at most mean_i [log q(y_i | x_i) - mean_j log q(y_j | x_i)], where q is a recogniser
trained on other recordings: an embedding of the tokens, two layers of 1024 bidirectional LSTM cells, and CTC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from slmcore.errors import must
from slmcore.files import atomic
from slmzoo.training.loop.task import generator

__all__ = ["Bound", "Probe", "ProbeConfig", "bound", "loglikelihoods", "needed", "recognised", "train", "undecided"]

_BLANK = 0
_TEXTS_AT_ONCE = 64
_KEPT_EVERY = 500


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """Sizes and training of the recogniser."""

    dim: int = 1024
    """Width of the embedding of a token."""
    hidden: int = 1024
    """LSTM cells of each direction."""
    layers: int = 2
    batch: int = 32
    """Recordings in a step."""
    lr: float = 1e-4
    steps: int = 200_000
    seed: int = 0


class Probe(nn.Module):
    """Tokens to log-probabilities of symbols; 0 is CTC's blank, symbols count from 1.

    Several streams of `tokens` kinds each are embedded one by one and added. `vectors` (streams, tokens, dim) are what
    the embedding starts from, in place of random ones.
    """

    def __init__(
        self, tokens: int, symbols: int, config: ProbeConfig, streams: int = 1, vectors: Tensor | None = None
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.embedding = nn.Embedding(streams * tokens, config.dim)
        self.lstm = nn.LSTM(config.dim, config.hidden, config.layers, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * config.hidden, symbols + 1)
        if vectors is not None:
            self._start_from(vectors, streams)

    def forward(self, tokens: Sequence[Tensor]) -> Tensor:
        """Log-probabilities (B, T, symbols + 1) of sequences (T_i,) or (streams, T_i), each as if it were alone.

        Shorter sequences are padded at the end.
        """
        lengths = torch.tensor([x.shape[-1] for x in tokens])
        framed = [x.reshape(-1, x.shape[-1]).mT for x in tokens]
        padded = nn.utils.rnn.pad_sequence(framed, batch_first=True)
        first = self.tokens * torch.arange(padded.shape[-1], device=padded.device)
        embedded = self.embedding(padded + first).sum(-2)
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.output(hidden).log_softmax(-1)

    @torch.no_grad()
    def _start_from(self, vectors: Tensor, streams: int) -> None:
        wanted = (streams, self.tokens, self.embedding.embedding_dim)
        if tuple(vectors.shape) != wanted:
            raise ValueError(must("vectors", f"of {wanted}, streams, tokens and dim", tuple(vectors.shape)))
        self.embedding.weight.copy_(vectors.flatten(0, 1))


@dataclass(frozen=True, eq=False)
class Bound:
    """Terms of the bound for each recording, float64 (N,), in nats; their mean is the bound."""

    own: Tensor
    """log q(y_i | x_i)."""
    others: Tensor
    """The mean of log q(y_j | x_i) over texts j."""
    symbols: Tensor
    """Length of y_i, int64 (N,)."""
    possible: Tensor
    """Share of the texts j short enough for CTC; the others are left out of the mean."""

    @property
    def information(self) -> Tensor:
        """Return the contribution of a recording to the bound."""
        return self.own - self.others


def train(
    probe: Probe, tokens: Sequence[Tensor], texts: Sequence[Tensor], config: ProbeConfig, run: str | Path
) -> None:
    """Train on tokens (T_i,) or (streams, T_i) and symbols (S_i,), int64; resumes from `run`.

    The loss is CTC's divided by each text's length. Raises ValueError if no recording has as many tokens as CTC needs
    for its text.
    """
    usable = [i for i, (x, y) in enumerate(zip(tokens, texts, strict=True)) if len(y) and needed(y) <= x.shape[-1]]
    if not usable:
        raise ValueError(must("tokens", "at least as many as symbols in some recording", "a list of shorter sequences"))
    device = probe.output.weight.device

    def loss(step: int) -> Tensor:
        draw = torch.randint(len(usable), (config.batch,), generator=generator(config.seed, step)).tolist()
        x, y = ([of[usable[i]].to(device) for i in draw] for of in (tokens, texts))
        costs = _ctc(probe(x).transpose(0, 1), [each.shape[-1] for each in x], y)
        return (costs / torch.tensor([len(each) for each in y], device=device)).mean()

    _fit(probe, loss, config, Path(run))


def _fit(probe: Probe, loss: Callable[[int], Tensor], config: ProbeConfig, run: Path) -> None:
    """Train by Adam at a constant rate; each step depends only on its number and the state in `run`."""
    run.mkdir(parents=True, exist_ok=True)
    kept, optimizer = run / "probe.pt", torch.optim.Adam(probe.parameters(), config.lr)
    begin = 0
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        probe.load_state_dict(state["probe"])
        optimizer.load_state_dict(state["optimizer"])
        begin = int(state["step"])
    for step in tqdm(range(begin, config.steps), "probe", initial=begin, total=config.steps, disable=None):
        value = loss(step)
        if not value.isfinite():
            raise FloatingPointError(f"The probe's loss is {float(value)} at step {step}; {kept} is kept.")
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if (step + 1) % _KEPT_EVERY == 0 or step + 1 == config.steps:
            state = {"probe": probe.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            with atomic.writing(kept) as file:
                torch.save(state, file)


@torch.no_grad()
def loglikelihoods(probe: Probe, tokens: Tensor, texts: Sequence[Tensor]) -> Tensor:
    """Return log q(y | x) in nats of many texts y for one sequence of tokens x: float64 (texts,), -inf if too long."""
    device = probe.output.weight.device
    logprobs = probe([tokens.to(device)]).double().transpose(0, 1)
    parts = [list(texts[i : i + _TEXTS_AT_ONCE]) for i in range(0, len(texts), _TEXTS_AT_ONCE)]
    costs = [
        _ctc(logprobs.expand(-1, len(part), -1), [tokens.shape[-1]] * len(part), [y.to(device) for y in part])
        for part in parts
    ]
    return -torch.cat(costs).cpu()


@torch.no_grad()
def recognised(probe: Probe, tokens: Tensor) -> list[int]:
    """Return the symbols that the probe recognises in one sequence of tokens: the likeliest of each frame,
    collapsed."""
    path = probe([tokens.to(probe.output.weight.device)])[0].argmax(-1).unique_consecutive()
    return path[path != _BLANK].tolist()


def bound(
    probe: Probe, tokens: Sequence[Tensor], texts: Sequence[Tensor], most: int | None = None, seed: int = 0
) -> Bound:
    """Compute the bound on held-out recordings, each against all texts, or against `most` of them drawn with `seed`.

    NaN for a recording of `undecided`. Raises ValueError for a recording with too few tokens for its own text.
    """
    rows: list[tuple[float, float, float]] = []
    for i, x in enumerate(tqdm(tokens, desc="vCLUB", unit="file", disable=None)):
        if needed(texts[i]) > x.shape[-1]:
            given = f"a sequence of {x.shape[-1]}"
            raise ValueError(must("tokens", f"at least {needed(texts[i])} for text {i}", given))
        values = loglikelihoods(probe, x, [texts[i], *(texts[j] for j in _drawn(len(texts), i, most, seed))])
        own, others = values[0], values[1:]
        possible = others.isfinite()
        rows.append((float(own), float(others[possible].mean()), float(possible.double().mean())))
    own, others, possible = torch.tensor(rows, dtype=torch.float64).T
    return Bound(own, others, torch.tensor([len(y) for y in texts]), possible)


def undecided(tokens: Sequence[Tensor], texts: Sequence[Tensor], most: int | None = None, seed: int = 0) -> list[int]:
    """Return the recordings with too few tokens for any text that `bound` draws for them."""
    lengths = [needed(text) for text in texts]
    drawn = ((i, x.shape[-1], _drawn(len(texts), i, most, seed)) for i, x in enumerate(tokens))
    return [i for i, length, order in drawn if all(lengths[j] > length for j in order)]


def _drawn(texts: int, recording: int, most: int | None, seed: int) -> list[int]:
    return torch.randperm(texts, generator=generator(seed, recording))[:most].tolist()


def needed(text: Tensor) -> int:
    """Return the number of tokens that CTC needs: one per symbol, and a blank between equal ones."""
    return len(text) + int((text[1:] == text[:-1]).sum())


def _ctc(log_probs: Tensor, lengths: Sequence[int], texts: Sequence[Tensor]) -> Tensor:
    """Return -log q of each text (B,); `log_probs`: (T, B, symbols + 1)."""
    sizes = [len(text) for text in texts]
    joined = torch.cat(list(texts))
    return nn.functional.ctc_loss(log_probs, joined, torch.tensor(lengths), torch.tensor(sizes), _BLANK, "none")

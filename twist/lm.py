"""The language model of TWIST (arXiv 2305.13009): p(unit | units before) by a transformer started from a text model.

OPT and LLaMA run on the transformer that all language models here share: they differ from Mistral's in norms, positions
and biases, which are options of it. Scoring, sampling, cache and int8 weights are the zoo's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.checks import whole
from slmcore.errors import CheckpointError, must
from slmcore.files.archives import opened
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.huggingface import is_model_folder
from slmcore.files.pretrained import Saved, weights_file
from slmcore.language.generation import check_prompts, continued
from slmcore.language.scoring import sequence_logprobs
from slmcore.layers.decoding import Decoded
from slmcore.layers.int8 import Scheme, quantize_linears
from slmcore.layers.sampling import Sampler
from slmcore.layers.transformer import Transformer
from slmcore.roles import Generated, UnitSequence
from slmcore.units import OperatingPoint, Units
from twist.lm_config import TwistLMConfig
from twist.published_lm import read_published, read_text_model

__all__ = ["TwistLM", "load", "read_published_file"]

_GROWTH, _MOST_NEW = 2, 166
"""Most new units: published continuations are twice as long as the prompt, and at most 250 units with it."""
_NONE = -1
"""Stands for the end token in models without one."""


class TwistLM(Saved):
    """Unit language model of TWIST's or slamkit's kind; TWIST's has no BOS token."""

    kind = "twist_ulm"
    entry_point = "twist_ulm"

    def __init__(self, config: TwistLMConfig, operating_point: OperatingPoint | None = None) -> None:
        super().__init__()
        self.config, self.operating_point = config, operating_point
        self.transformer = Transformer(config.transformer, config.form)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> TwistLM:
        """Build the model of a checkpoint of kind "twist_ulm"; CheckpointError if it does not fit."""
        config = TwistLMConfig.from_dict(checkpoint.config)
        return build(lambda: cls(config, checkpoint.operating_point), checkpoint.state)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> TwistLM:
        """Load a published or saved model; see `load`."""
        return load(path)

    @classmethod
    def from_text_model(cls, folder: str | Path, k: int) -> TwistLM:
        """Start a model of k units from a text model (OPT, LLaMA, Mistral, Qwen2) in a folder, as slamkit does.

        Units take the first rows of the text model's tables. Raises FileNotFoundError, or CheckpointError for a model
        of another kind.
        """
        return cls.from_checkpoint(read_text_model(opened(folder), k))

    @property
    def k(self) -> int:
        """Number of units."""
        return self.config.num_units

    @property
    def has_bos(self) -> bool:
        """Whether sequences begin with BOS, which conditions the first unit."""
        return self.config.bos is not None

    @property
    def has_eos(self) -> bool:
        """Whether sequences end with EOS."""
        return self.config.eos is not None

    @property
    def convention(self) -> str:
        """Name of its system's scoring convention: "twist", or "slamkit" where sequences begin with BOS."""
        return "slamkit" if self.has_bos else "twist"

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits (B, T, vocab_size) of right-padded token ids (B, T), int64."""
        return self.transformer(ids)

    @torch.no_grad()
    def logprobs(
        self, sequences: Sequence[UnitSequence], *, bos: bool | None = None, eos: bool = False, progress: bool = False
    ) -> list[Tensor]:
        """Return the natural log-probabilities of the scored tokens of sequences of units (n_i,): float32, on the CPU.

        `bos` conditions the first unit on BOS, so that it is scored too; None does so where the model has that token,
        which TWIST's own do not. `eos` scores EOS. Raises ValueError for a token that the model lacks, a sequence
        without a scored token, and one longer than the model's longest.
        """
        ids = [self._framed(units, self.has_bos if bos is None else bos, eos) for units in sequences]
        most = max((len(each) for each in ids), default=0)
        if most > self.config.longest:
            remedy = "Score long speech in segments."
            raise ValueError(must("units", f"of at most {self.config.longest} tokens", most, remedy))
        return sequence_logprobs(self.transformer, ids, progress)

    def generate(
        self,
        prompts: Sequence[UnitSequence],
        max_new_units: int | None = None,
        temperature: float = 0.8,
        top_k: int | None = 50,
        top_p: float = 1.0,
        min_new_units: int = 0,
        repetition_penalty: float = 1.0,
        num_samples: int = 1,
        seed: int = 0,
    ) -> Generated:
        """Continue each prompt `num_samples` times, until the model ends it or `max_new_units`, as TWIST does.

        `max_new_units` None: twice as many as the prompt's, at most 166, as published for prompts of up to 83 units. No
        sequence gets longer than the model's longest. As published, tokens are sampled from the whole vocabulary; those
        that are not units stay in the context but are left out of the result. The same seed gives a prompt the same
        units, independently of the prompts after it.
        """
        check_prompts(prompts)
        num_samples = whole("num_samples", num_samples, 1)
        sampler = Sampler(temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)
        ids = [self._prompt(prompt) for prompt in prompts for _ in range(num_samples)]
        limits = [self._limit(len(prompt), max_new_units, min_new_units) for prompt in ids]
        decoded = continued(
            self.transformer,
            ids,
            sampler,
            end=_NONE if self.config.eos is None else self.config.eos,
            max_new_units=max(limits),
            min_new_units=min_new_units,
            repetition_penalty=repetition_penalty,
        )
        return self._generated([_shortened(d, limit) for d, limit in zip(decoded, limits, strict=True)])

    def quantize(self, scheme: Scheme) -> None:
        """Round the weights to int8, for decoding on a CPU."""
        quantize_linears(self.transformer, scheme)

    def _generated(self, decoded: Sequence[Decoded]) -> Generated:
        first, k = self.config.offset, self.k
        kept = [(d.tokens >= first) & (d.tokens < first + k) for d in decoded]
        return Generated(
            [d.tokens[keep] - first for d, keep in zip(decoded, kept, strict=True)],
            [d.log_probs[keep] for d, keep in zip(decoded, kept, strict=True)],
            [d.finished for d in decoded],
        )

    def _limit(self, prompt: int, asked: int | None, least: int) -> int:
        """Return the most new tokens after a prompt of a given number of tokens."""
        if asked is None:
            asked = max(1, least, min(_GROWTH * prompt, _MOST_NEW))
        return min(whole("max_new_units", asked, max(1, least)), self.config.longest - prompt)

    def _tokens(self, units: UnitSequence) -> Tensor:
        given = torch.as_tensor(units.units if isinstance(units, Units) else units)
        if given.ndim != 1 or (given.numel() and (given.is_floating_point() or given.dtype == torch.bool)):
            raise ValueError(must("units", "whole numbers (n,)", f"a {given.dtype} tensor of {tuple(given.shape)}"))
        given = given.long().cpu()
        if len(given) and not 0 <= int(given.min()) <= int(given.max()) < self.k:
            found = f"a sequence of units from {int(given.min())} to {int(given.max())}"
            raise ValueError(must("units", f"from 0 to {self.k - 1}, the model's codebook", found))
        return given + self.config.offset

    def _framed(self, units: UnitSequence, bos: bool, eos: bool) -> Tensor:
        """Return the model's input tokens of units; all but the first are scored."""
        tokens = self._tokens(units)
        for name, asked, token in (("bos", bos, self.config.bos), ("eos", eos, self.config.eos)):
            if asked and token is None:
                remedy = "TWIST's own convention is --convention twist." if name == "bos" else ""
                raise ValueError(must(name, "False for a model whose sequences have none", True, remedy))
        begin = [self.config.bos] if bos else []
        framed = torch.tensor([*begin, *tokens.tolist(), *([self.config.eos] if eos else [])], dtype=torch.int64)
        if len(framed) < 2:
            least = 1 if bos or eos else 2
            raise ValueError(must("units", f"at least {least}, the first of which is not scored", len(tokens)))
        return framed

    def _prompt(self, units: UnitSequence) -> Tensor:
        tokens = self._tokens(units)
        begin = [] if self.config.bos is None else [self.config.bos]
        if not len(tokens) and not begin:
            remedy = "This model knows no beginning to continue from."
            raise ValueError(must("prompts", "of at least one unit each", [], remedy))
        found = torch.tensor([*begin, *tokens.tolist()], dtype=torch.int64)
        if len(found) >= self.config.longest:
            remedy = "Prompt with less speech."
            raise ValueError(must("prompts", f"of at most {self.config.longest - 1} tokens", len(found), remedy))
        return found


def _shortened(decoded: Decoded, limit: int) -> Decoded:
    """Truncate the tokens beyond the limit of one prompt of a batch."""
    if len(decoded.tokens) <= limit:
        return decoded
    return Decoded(decoded.tokens[:limit], decoded.log_probs[:limit], False)


def load(path: str | Path, k: int | None = None) -> TwistLM:
    """Load a published language model, or one in the project's format.

    `path`: a folder of `transformers` or a zip of one, `.safetensors` of the project, or a folder with it. `k`: number
    of units; without it, all tokens from the offset on. Raises FileNotFoundError, or CheckpointError for a file that is
    damaged or of another kind.
    """
    folder = _folder_of(opened(path))
    if folder is not None:
        return TwistLM.from_checkpoint(read_published(folder, k))
    return TwistLM.from_checkpoint(read(weights_file(opened(path)), "twist_ulm", _not_published))


def read_published_file(path: str | Path) -> Checkpoint:
    """Read a published model, as a checkpoint; arguments and errors as for `load`."""
    folder = _folder_of(opened(path))
    if folder is None:
        raise CheckpointError(f"{path} is no folder of transformers, or a zip of one: it has no config.json.")
    return read_published(folder)


def _folder_of(found: Path) -> Path | None:
    """The folder of `transformers` that a path is, or is in."""
    return next((folder for folder in (found, found.parent) if is_model_folder(folder)), None)


def _not_published(content: Any) -> Checkpoint:
    raise ValueError("a published language model of TWIST is a folder with a config.json beside its weights")

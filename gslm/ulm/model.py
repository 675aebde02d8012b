"""GSLM's unit language model: p(unit | units before) over deduplicated units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gslm.ulm.archive import unpacked
from gslm.ulm.config import ULMConfig
from gslm.ulm.dictionary import BOS, EOS, PAD, UnitDictionary
from gslm.ulm.published import published
from slmcore.checks import whole
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.content import is_safetensors
from slmcore.files.pretrained import Saved, weights_file
from slmcore.language.generation import check_prompts, continued
from slmcore.language.scoring import sequence_logprobs
from slmcore.layers.int8 import Scheme, quantize_linears
from slmcore.layers.sampling import Sampler
from slmcore.layers.transformer import Transformer
from slmcore.roles import Generated, UnitSequence
from slmcore.units import OperatingPoint

__all__ = ["GSLMUnitLM", "load", "read_published"]


class GSLMUnitLM(Saved):
    """fairseq's decoder-only transformer over units, with the dictionary of its tokens (arXiv 2102.01192)."""

    kind = "gslm_ulm"
    entry_point = "gslm_ulm"

    def __init__(
        self, config: ULMConfig, tokenizer: UnitDictionary, operating_point: OperatingPoint | None = None
    ) -> None:
        super().__init__()
        if tokenizer.vocab_size != config.vocab_size:
            found = f"a list of {tokenizer.vocab_size - 4} lines"
            raise CheckpointError(
                must("dict.txt", f"of {config.vocab_size - 4} lines for this model", found, "Use the model's own.")
            )
        self.config, self.tokenizer, self.operating_point = config, tokenizer, operating_point
        self.transformer = Transformer(config.transformer, config.form)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> GSLMUnitLM:
        """Build the model of a checkpoint of kind "gslm_ulm"; a CheckpointError if it does not fit."""
        config = ULMConfig.from_dict(checkpoint.config)
        tokenizer = UnitDictionary.from_dict(checkpoint.tokenizer, BOS if config.begins_with_bos else EOS)
        return build(lambda: cls(config, tokenizer, checkpoint.operating_point), checkpoint.state)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> GSLMUnitLM:
        """Load a published or saved model; see `load`."""
        return load(path)

    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """Return config, dictionary and weights, to be written with `slmcore.files.checkpoint.save`."""
        return replace(super().checkpoint(provenance), tokenizer=self.tokenizer.to_dict())

    @property
    def k(self) -> int:
        """Number of units."""
        return self.tokenizer.k

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits (B, T, vocab_size) of right-padded token ids (B, T), int64."""
        return self.transformer(ids)

    def loglikelihood(self, ids: Tensor) -> float:
        """Sum of log p(token | tokens before) over all but the first of ids (n + 1,), in nats; the end is not scored.

        `tokenizer.encode(units)` gives the ids. fairseq's `score` has the same terms.
        """
        return float(self._scored([ids], False)[0].sum(dtype=torch.float64))

    def logprobs(
        self, sequences: Sequence[UnitSequence], *, bos: bool = True, eos: bool = False, progress: bool = False
    ) -> list[Tensor]:
        """Return the natural log-probabilities of the scored tokens of sequences of units (n_i,): float32, on the CPU.

        `bos` conditions the first unit on the token that begins sequences, so that it is scored too; `eos` scores the
        end, </s>, as in training. Raises ValueError for a sequence without a scored token, or one too long.
        """
        ids = [self._framed(units, bos, eos) for units in sequences]
        return self._scored(ids, progress)

    def quantize(self, scheme: Scheme) -> None:
        """Round the weights to int8, for decoding on a CPU."""
        quantize_linears(self.transformer, scheme)

    def generate(
        self,
        prompts: Sequence[UnitSequence],
        max_new_units: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        min_new_units: int = 0,
        repetition_penalty: float = 1.0,
        num_samples: int = 1,
        seed: int = 0,
    ) -> Generated:
        """Continue each prompt `num_samples` times, until </s>, `max_new_units`, or the model's longest sequence.

        As published, tokens are drawn from the whole vocabulary but <pad>; those that are no units are left out. The
        published length limit counts the prompt, `max_new_units` does not. The same seed gives a
        prompt the same units, independently of the prompts after it.
        """
        check_prompts(prompts)
        num_samples, limit = whole("num_samples", num_samples, 1), whole("max_new_units", max_new_units, 1)
        sampler = Sampler(temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)
        ids = [self._prompt(prompt) for prompt in prompts for _ in range(num_samples)]
        room = self.config.longest - max(map(len, ids))
        decoded = continued(
            self.transformer,
            ids,
            sampler,
            end=EOS,
            max_new_units=min(limit, room),
            min_new_units=min_new_units,
            repetition_penalty=repetition_penalty,
            never=[PAD],
        )
        kept = [self.tokenizer.is_unit(d.tokens) for d in decoded]
        return Generated(
            [torch.tensor(self.tokenizer.decode(d.tokens), dtype=torch.int64) for d in decoded],
            [d.log_probs[keep] for d, keep in zip(decoded, kept, strict=True)],
            [d.finished for d in decoded],
        )

    def _prompt(self, units: UnitSequence) -> Tensor:
        ids = self.tokenizer.encode(units)
        if len(ids) >= self.config.longest:
            remedy = "Prompt with less speech."
            raise ValueError(must("prompts", f"of at most {self.config.longest - 2} units", len(ids) - 1, remedy))
        return ids

    def _framed(self, units: UnitSequence, bos: bool, eos: bool) -> Tensor:
        """Return the model's input tokens of units; all but the first are scored."""
        ids = self.tokenizer.encode(units)
        framed = torch.cat([ids[0 if bos else 1 :], torch.tensor([EOS] if eos else [], dtype=torch.int64)])
        if len(framed) < 2:
            least = 1 if bos or eos else 2
            raise ValueError(must("units", f"at least {least}", f"a sequence of {len(ids) - 1}"))
        return framed

    @torch.no_grad()
    def _scored(self, ids: Sequence[Tensor], progress: bool) -> list[Tensor]:
        longest = max((len(each) for each in ids), default=0) - 1
        if longest > self.config.longest:
            remedy = "Score long speech in segments."
            raise ValueError(must("units", f"of at most {self.config.longest - 1} units", longest, remedy))
        return sequence_logprobs(self.transformer, ids, progress)


def load(path: str | Path, k: int | None = None) -> GSLMUnitLM:
    """Load a published language model, or one in the project's format.

    `path`: a `.tgz` with dict.txt and a checkpoint, a checkpoint with dict.txt beside it, `.safetensors`, or a folder
    with one of them. `k`: number of units; without it, the largest unit of dict.txt and one more. Raises
    FileNotFoundError, or CheckpointError for a damaged file, or a dict.txt that does not fit.
    """
    path = weights_file(path)
    found = read(path, "gslm_ulm", published) if is_safetensors(path) else read_published(path, k)
    return GSLMUnitLM.from_checkpoint(found)


def read_published(path: Path, k: int | None = None) -> Checkpoint:
    """Read a published language model with its dictionary as a checkpoint; `path` and errors as for `load`."""
    with unpacked(path) as (weights, dictionary):
        found = read(weights, "gslm_ulm", published)
        tokenizer = UnitDictionary.from_file(dictionary, k=k)
    return replace(found, tokenizer=tokenizer.to_dict())

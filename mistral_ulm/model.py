"""Unit language model: p(unit | previous units) over deduplicated units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mistral_ulm.export import to_transformers
from mistral_ulm.tokenizer import BOS, UnitTokenizer
from slmcore.checks import whole
from slmcore.errors import must
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.language.generation import check_prompts, continued
from slmcore.language.scoring import on_host, sequence_logprobs
from slmcore.layers.int8 import Scheme, quantize_linears
from slmcore.layers.sampling import Sampler
from slmcore.layers.transformer import Transformer, TransformerConfig
from slmcore.roles import Generated, UnitSequence
from slmcore.units import OperatingPoint, Units

__all__ = ["Generated", "UnitLM", "load", "published"]


class UnitLM(Saved):
    """Language model over units: BOS = 0, unit u = u + 1 (DP-SLM, arXiv 2505.23494, section 3.3)."""

    entry_point = "ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k"

    def __init__(self, config: TransformerConfig, operating_point: OperatingPoint | None = None) -> None:
        super().__init__()
        self.config, self.operating_point = config, operating_point
        self.transformer = Transformer(config)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> UnitLM:
        """Build the model of a checkpoint of kind "ulm"."""
        config = TransformerConfig.from_dict(checkpoint.config)
        return build(lambda: cls(config, checkpoint.operating_point), checkpoint.state)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> UnitLM:
        """Load a published or saved model: a file, a folder with one, or `hf://owner/repo`.

        Example: `UnitLM.from_pretrained("ulm.pt").logprobs([[3, 1, 4]])`. Raises FileNotFoundError, or CheckpointError
        for a file that is damaged or of another kind.
        """
        return load(weights_file(path))

    def to_transformers(self) -> Any:
        """Return the model as a `transformers.MistralForCausalLM` over ids; see `export`."""
        return to_transformers(self.transformer)

    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """Return the model as a checkpoint."""
        return Checkpoint(
            kind="ulm",
            config=self.config.to_dict(),
            state=self.state_dict(),
            operating_point=self.operating_point,
            provenance=dict(provenance or {}),
        )

    @property
    def k(self) -> int:
        """Number of units; the vocabulary also has BOS."""
        return self.config.vocab_size - 1

    @property
    def tokenizer(self) -> UnitTokenizer:
        """Tokenizer of its units."""
        return UnitTokenizer(self.k)

    def forward(self, ids: Tensor, seqlens: Sequence[int]) -> Tensor:
        """Return logits (sum of seqlens, vocab) of sequences packed in ids (sum,): the published call."""
        if ids.ndim != 1 or sum(seqlens) != len(ids) or any(n < 1 for n in seqlens):
            raise ValueError(must("seqlens", f"lengths >= 1 that sum to len(ids) ({len(ids)})", list(seqlens)))
        logits = self.transformer(pad_sequence(list(ids.to(self.device).split(list(seqlens))), batch_first=True))
        return torch.cat([row[:n] for row, n in zip(logits, seqlens, strict=True)])

    @torch.no_grad()
    def loglikelihood(self, ids: Tensor) -> float:
        """Return the sum over the units of log p(unit | BOS, previous units), in nats.

        ids: int64 (n + 1,), BOS first (`tokenizer.encode` makes them). Raises a ValueError otherwise.
        """
        return float(sequence_logprobs(self.transformer, [self._check(ids)])[0].sum(dtype=torch.float64))

    @overload
    def loglikelihoods(
        self, sequences: Sequence[Tensor], reduction: str = ..., per_token: Literal[False] = ..., progress: bool = ...
    ) -> list[float]: ...

    @overload
    def loglikelihoods(
        self, sequences: Sequence[Tensor], reduction: str = ..., *, per_token: Literal[True], progress: bool = ...
    ) -> list[Tensor]: ...

    @torch.no_grad()
    def loglikelihoods(
        self, sequences: Sequence[Tensor], reduction: str = "sum", per_token: bool = False, progress: bool = False
    ) -> list[float] | list[Tensor]:
        """Return the log-likelihood of each of any number of id sequences (n_i + 1,), BOS first, in nats.

        They are scored in batches of similar lengths. Equal sequences have equal values; the batch changes a value by
        float32 rounding only (about 1e-5 nats). `reduction`: "sum", or "mean" over the units. `per_token` gives float32
        (n_i,) tensors on the CPU instead.
        """
        if reduction not in ("sum", "mean"):
            raise ValueError(must("reduction", "'sum' or 'mean'", reduction))
        logprobs = sequence_logprobs(self.transformer, self._checked(sequences), progress)
        if per_token:
            return logprobs
        totals = (float(x.sum(dtype=torch.float64)) / (len(x) if reduction == "mean" else 1) for x in logprobs)
        return list(totals)

    @torch.no_grad()
    def logprobs(
        self, sequences: Sequence[UnitSequence], *, bos: bool = True, eos: bool = False, progress: bool = False
    ) -> list[Tensor]:
        """Return the natural log-probability of each scored token of sequences of units (n_i,): float32, on the CPU.

        `bos` conditions the first unit on BOS, so that it is scored too; `eos` scores the end, for this model the BOS
        of a next utterance. Raises ValueError for a sequence without any scored token.
        """
        ids = [self.tokenizer.framed(_plain(units), bos, eos) for units in sequences]
        return sequence_logprobs(self.transformer, ids, progress)

    def quantize(self, scheme: Scheme) -> None:
        """Round the weights to int8, for decoding on a CPU."""
        quantize_linears(self.transformer, scheme)

    def generate(
        self,
        prompts: Sequence[Sequence[int] | Tensor | Units],
        max_new_units: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        min_new_units: int = 0,
        repetition_penalty: float = 1.0,
        num_samples: int = 1,
        seed: int = 0,
    ) -> Generated:
        """Continue each prompt `num_samples` times, until the model begins another utterance or `max_new_units`.

        A prompt is a sequence of units, which may be empty. `repetition_penalty` > 1 makes units that have occurred
        less likely (Keskar et al. 2019, arXiv 1909.05858, section 4.1). The same seed gives the same units
        regardless of later `prompts`.
        """
        sampler = Sampler(temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)
        num_samples = whole("num_samples", num_samples, 1)
        check_prompts(prompts)
        ids = [self._prompt(prompt) for prompt in prompts for _ in range(num_samples)]
        decoded = continued(
            self.transformer,
            ids,
            sampler,
            end=BOS,
            max_new_units=max_new_units,
            min_new_units=min_new_units,
            repetition_penalty=repetition_penalty,
        )
        kept = [d.tokens != BOS for d in decoded]
        return Generated(
            [d.tokens[keep] - 1 for d, keep in zip(decoded, kept, strict=True)],
            [d.log_probs[keep] for d, keep in zip(decoded, kept, strict=True)],
            [d.finished for d in decoded],
        )

    def _prompt(self, units: Sequence[int] | Tensor | Units) -> Tensor:
        units = _plain(units)
        if not len(units):
            return torch.tensor([BOS])
        return self.tokenizer.encode(units)

    def _checked(self, sequences: Sequence[Tensor]) -> list[Tensor]:
        """Return the id sequences on the CPU, where looking at each is free."""
        alike = all(isinstance(ids, Tensor) and ids.ndim == 1 for ids in sequences)
        return [self._check(ids) for ids in (on_host(sequences) if alike else sequences)]

    def _check(self, ids: Tensor) -> Tensor:
        if not isinstance(ids, Tensor) or ids.dtype != torch.int64:
            shown = f"a tensor of {ids.dtype}" if isinstance(ids, Tensor) else ids
            raise TypeError(must("ids", "an int64 tensor", shown, "`tokenizer.encode(units)` makes it."))
        if ids.ndim != 1 or len(ids) < 2 or int(ids[0]) != BOS:
            shown = ids.tolist() if ids.ndim == 1 else f"a tensor of shape {tuple(ids.shape)}"
            raise ValueError(
                must("ids", "one sequence of BOS (0) and at least one unit", shown, "Use `tokenizer.encode`.")
            )
        if int(ids.min()) < 0 or int(ids.max()) >= self.config.vocab_size:
            raise ValueError(must("ids", f"in 0..{self.config.vocab_size - 1}", [int(ids.min()), int(ids.max())]))
        return ids


def _plain(units: UnitSequence) -> Sequence[int] | Tensor:
    return units.units if isinstance(units, Units) else units


def published(obj: Any) -> Checkpoint:
    """Translate `{'model_args', 'model_state_dict'}` of nicolvisser/Mistral-ULM."""
    config = TransformerConfig.from_published(obj["model_args"])
    state = {f"transformer.{key}": tensor for key, tensor in obj["model_state_dict"].items()}
    return Checkpoint(kind="ulm", config=config.to_dict(), state=state)


def load(path: str | Path) -> UnitLM:
    """Read a published `.pt` or the project's `.safetensors` file."""
    return UnitLM.from_checkpoint(read(path, "ulm", published))

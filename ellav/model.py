"""Acoustic model: deduplicated units to codec tokens, phone by phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch import Tensor

from ellav.constraint import PhonesInOrder, PhonesOfLengths
from ellav.tokenizer import EOP, EllaVTokenizer
from slmcore.checks import whole
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.layers.decoding import Decoded, Rule, decode
from slmcore.layers.int8 import Scheme, quantize_linears
from slmcore.layers.sampling import Sampler
from slmcore.layers.transformer import Transformer, TransformerConfig
from slmcore.units import OperatingPoint

__all__ = ["EllaV", "load", "published"]

_MOST_AT_ONCE = 64


class EllaV(Saved):
    """ELLA-V's autoregressive part with one codec level (Song et al. 2024, arXiv 2401.07333).

    There is no `to_transformers`: decoding forces tokens by a rule of its own, and no class of transformers has that
    rule and a biased output head.
    """

    entry_point = "ellav_units_to_wavtokenizer"

    def __init__(
        self,
        config: TransformerConfig,
        tokenizer: EllaVTokenizer,
        operating_point: OperatingPoint | None = None,
        longest_seconds: float | None = None,
    ) -> None:
        """`longest_seconds`: longest segment of speech that it was trained on; None: unknown."""
        super().__init__()
        if tokenizer.vocab_size != config.vocab_size:
            raise CheckpointError(must("vocab_size", f"the tokenizer's {tokenizer.vocab_size}", config.vocab_size))
        if longest_seconds is not None and not _is_limit(longest_seconds):
            raise CheckpointError(must("longest_seconds", "a number of seconds >= 1, or None", longest_seconds))
        self.config, self.tokenizer, self.operating_point = config, tokenizer, operating_point
        self.longest_seconds = longest_seconds
        self.transformer = Transformer(config)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> EllaV:
        """Build the model of a checkpoint of kind "ellav"."""
        args = dict(checkpoint.config)
        longest = args.pop("longest_seconds", None)
        config = TransformerConfig.from_dict(args)
        tokenizer = EllaVTokenizer.from_dict(checkpoint.tokenizer or {})
        return build(lambda: cls(config, tokenizer, checkpoint.operating_point, longest), checkpoint.state)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> EllaV:
        """Load a published or saved model: a file, a folder with one, or `hf://owner/repo`.

        Example: `EllaV.from_pretrained("ellav.pt").generate([["u17", "u3"]], 200, 10, top_p=0.8)`. Raises
        FileNotFoundError, or CheckpointError for a file that is damaged or of another kind.
        """
        return load(weights_file(path))

    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """Return the model as a checkpoint."""
        longest = {} if self.longest_seconds is None else {"longest_seconds": self.longest_seconds}
        return Checkpoint(
            kind="ellav",
            config={**self.config.to_dict(), **longest},
            state=self.state_dict(),
            tokenizer=self.tokenizer.to_dict(),
            operating_point=self.operating_point,
            provenance=dict(provenance or {}),
        )

    @property
    def k(self) -> int:
        """Number of units, or of phonemes."""
        return self.tokenizer.num_phone_types

    @property
    def frame_rate(self) -> float:
        """Frames per second of the units."""
        return self.tokenizer.phone_token_rate

    @property
    def num_codes(self) -> int:
        """Number of different codec tokens."""
        return self.tokenizer.num_codec_types

    def quantize(self, scheme: Scheme) -> None:
        """Round the weights to int8, for decoding on a CPU."""
        quantize_linears(self.transformer, scheme)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B, T, vocab) of training sequences (B, T) int64, right-padded."""
        return self.transformer(ids)

    @overload
    def generate(
        self,
        prompts: Sequence[Sequence[str]],
        max_tokens: int,
        max_codec_tokens_per_phone: int,
        temperature: float = ...,
        top_p: float = ...,
        *,
        seed: int = ...,
        graph: bool | None = ...,
        durations: Sequence[Sequence[int] | Tensor] | None = ...,
        return_durations: Literal[False] = ...,
    ) -> tuple[list[Tensor], list[bool]]: ...

    @overload
    def generate(
        self,
        prompts: Sequence[Sequence[str]],
        max_tokens: int,
        max_codec_tokens_per_phone: int,
        temperature: float = ...,
        top_p: float = ...,
        *,
        seed: int = ...,
        graph: bool | None = ...,
        durations: Sequence[Sequence[int] | Tensor] | None = ...,
        return_durations: Literal[True],
    ) -> tuple[list[Tensor], list[bool], list[Tensor]]: ...

    def generate(
        self,
        prompts: Sequence[Sequence[str]],
        max_tokens: int,
        max_codec_tokens_per_phone: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        *,
        seed: int = 0,
        graph: bool | None = None,
        durations: Sequence[Sequence[int] | Tensor] | None = None,
        return_durations: bool = False,
    ) -> tuple[list[Tensor], list[bool]] | tuple[list[Tensor], list[bool], list[Tensor]]:
        """Generate codec tokens for each prompt of names such as "u17", without repeats.

        `max_tokens` counts steps, forced tokens included: about 40 + 2 x (units per second) for a second of speech. A
        cap of n allows n + 2 codec tokens for the first unit and n + 1 for each later one. `temperature` 0 or `top_p` 0
        is greedy. `graph` captures a step as a CUDA graph (None: on CUDA). `durations` fixes the number of codec tokens
        of each unit, instead of the cap: whole numbers >= 0, and >= 1 for the first, one for each unit of each prompt
        (which then must have no repeats).

        Returns the codec tokens, int64 (n_i,) on the CPU, whether each prompt was completed, and with
        `return_durations` the number of codec tokens of each unit, int64 (units begun,). The same seed gives the same
        tokens, independently of later prompts.
        """
        max_tokens = whole("max_tokens", max_tokens, 1)
        if isinstance(prompts, str) or not len(prompts) or isinstance(prompts[0], str):
            raise ValueError(
                must("prompts", "a list of at least one list of names", prompts, "One prompt is `[prompt]`.")
            )
        sampler = Sampler(temperature=temperature, top_p=top_p, seed=seed)
        ids = [self.tokenizer.encode_infer(prompt) for prompt in prompts]
        phones = [prompt[:-2] for prompt in ids]
        lengths = None if durations is None else _lengths(phones, durations)
        decoded: list[Decoded] = []
        for first in range(0, len(ids), _MOST_AT_ONCE):
            some = slice(first, first + _MOST_AT_ONCE)
            rule = self._rule(phones[some], max_codec_tokens_per_phone, lengths and lengths[some])
            decoded += decode(self.transformer, ids[some], rule, sampler, max_tokens, first=first, graph=graph)
        codes = [self._codes(d.tokens) for d in decoded]
        finished = [d.finished for d in decoded]
        if return_durations:
            return codes, finished, [self._durations(d.tokens, len(p) - 2) for d, p in zip(decoded, ids, strict=True)]
        return codes, finished

    def _rule(self, phones: Sequence[Tensor], most: int, lengths: Sequence[Tensor] | None) -> Rule:
        if lengths is None:
            return PhonesInOrder(phones, most, self.device)
        return PhonesOfLengths(phones, lengths, self.tokenizer.first_codec, self.device)

    def _codes(self, tokens: Tensor) -> Tensor:
        return tokens[tokens >= self.tokenizer.first_codec] - self.tokenizer.first_codec

    def _durations(self, tokens: Tensor, phones: int) -> Tensor:
        """Return the codec tokens between consecutive EOPs."""
        phone = (tokens == EOP).cumsum(0)[tokens >= self.tokenizer.first_codec]
        begun = min(phones, int((tokens == EOP).sum()) + 1)
        return torch.bincount(phone, minlength=begun)


def _is_limit(seconds: object) -> bool:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 1 <= seconds < float("inf")


def _lengths(phones: Sequence[Tensor], durations: Sequence[Sequence[int] | Tensor]) -> list[Tensor]:
    """Return durations as int64 (phones,) each. A ValueError names the prompt whose durations do not fit."""
    if len(phones) != len(durations):
        raise ValueError(must("durations", f"as many as prompts ({len(phones)})", len(durations)))
    lengths = [torch.as_tensor(each) for each in durations]
    for i, (prompt, length) in enumerate(zip(phones, lengths, strict=True)):
        if length.shape != prompt.shape:
            words = f"of one number for each of its {len(prompt)} units without repeats"
            raise ValueError(must(f"durations[{i}]", words, tuple(length.shape)))
        if length.is_floating_point() or int(length[0]) < 1 or int(length.min()) < 0:
            raise ValueError(must(f"durations[{i}]", "whole numbers >= 0, the first >= 1", length.tolist()))
    return [length.long() for length in lengths]


def published(obj: Any) -> Checkpoint:
    """Translate `{'model_args', 'tokenizer', 'model_state'}` of nicolvisser/ELLA-V."""
    config = TransformerConfig.from_published(obj["model_args"], output_bias=True)
    state = {f"transformer.{key}": tensor for key, tensor in obj["model_state"].items()}
    tokenizer = EllaVTokenizer.from_dict(obj["tokenizer"]).to_dict()
    return Checkpoint(kind="ellav", config=config.to_dict(), state=state, tokenizer=tokenizer)


def load(path: str | Path) -> EllaV:
    """Read a published `.pt` or the project's `.safetensors` file."""
    return EllaV.from_checkpoint(read(path, "ellav", published))

"""USLM: zero-shot text to speech over the codes of SpeechTokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.layers.decoding import FREE, decode
from slmcore.layers.sampling import Sampler
from slmcore.units import Codes
from speechtokenizer.uslm.config import USLMConfig
from speechtokenizer.uslm.decoders import Autoregressive, NonAutoregressive, Spoken
from speechtokenizer.uslm.published import published
from speechtokenizer.uslm.text import PhoneTokenizer

__all__ = ["SYMBOLS", "USLM", "load", "read_published"]

SYMBOLS = "unique_text_tokens.k2symbols"
"""Name of the published symbol table beside the weights."""

_CODES_PER_TEXT_ID = 16
"""Speech is cut off after this many frames for each text id."""


class USLM(Saved):
    """A language model of the first level's codes, and a decoder of the other levels."""

    kind = "uslm"

    def __init__(self, config: USLMConfig, tokenizer: PhoneTokenizer | None = None) -> None:
        super().__init__()
        if tokenizer is not None and len(tokenizer) > config.text_size:
            raise ValueError(must("tokenizer", f"of at most {config.text_size} ids", len(tokenizer)))
        self.config, self.tokenizer = config, tokenizer
        self.ar = Autoregressive(config)
        self.nar = NonAutoregressive(config)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> USLM:
        """Build the model that a checkpoint describes, in float32 and eval mode; CheckpointError if it does not fit."""
        config = USLMConfig.from_dict(checkpoint.config)
        try:
            tokenizer = None if checkpoint.tokenizer is None else PhoneTokenizer.from_dict(checkpoint.tokenizer)
            model = build(lambda: cls(config, tokenizer), checkpoint.state)
        except ValueError as error:
            raise CheckpointError(str(error)) from error
        model.nar.tie()
        return model

    @classmethod
    def from_pretrained(
        cls, path: str | Path, heads: int = 16, prefix_mode: int = 0, symbols: str | Path | None = None
    ) -> USLM:
        """Load a published or saved model from its file or folder; see `load`."""
        return load(path, heads, prefix_mode, symbols)

    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """Return config, weights and the table of phones, to be written with `slmcore.files.checkpoint.save`."""
        tokenizer = None if self.tokenizer is None else self.tokenizer.to_dict()
        return replace(super().checkpoint(provenance), tokenizer=tokenizer)

    def forward(self, texts: Sequence[Tensor], codes: Sequence[Tensor], level: int) -> list[Tensor]:
        """Return the logits of a level for each utterance, teacher-forced.

        `texts`: ids (n_i,); `codes`: (num_codebooks, T_i), int64. For level 0 (T_i, codebook_size + 1), those of the
        code after each one and at last of the end, one more before them with a start code; for a later level
        (T_i, codebook_size), those of its own codes.
        """
        return self._next(texts, codes) if level == 0 else self._filled(texts, codes, level)

    def longest(self, text: Tensor) -> int:
        """Return the largest number of frames for speech of `text` (n,)."""
        return _CODES_PER_TEXT_ID * len(text) + (not self.config.prepend_bos)

    @torch.no_grad()
    def generate(
        self,
        text: Tensor,
        prompt: Codes,
        *,
        prompt_text_length: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Codes:
        """Speak `text` in the voice of `prompt`: all levels of the new frames, none if the end comes first.

        `text` (n,): ids of the prompt's words and of the words to be spoken between begin and end, as `PhoneTokenizer`
        gives them; `prompt`: the prompt's codes, all levels. `prompt_text_length` counts the ids of the prompt's words
        with begin and end, and is needed in prefix modes 2 and 4 only. The first level is sampled (temperature 0 or
        top_k 1: greedy), the others are the likeliest. Raises ValueError for text without phones, ids outside the
        table, or a prompt of other levels, codes, or no frames.
        """
        self._check(text, prompt)
        sampler = Sampler(temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)
        text, known = text.to(self.device), prompt.codes.to(self.device)
        first = self._first_level(text, known[0], sampler).to(self.device)
        if not len(first):
            return Codes(prompt.codes[:, :0], prompt.frame_rate, prompt.codebook_size)
        made = self._other_levels(self._text_of_levels(text, prompt_text_length), known, first)
        return Codes(made.cpu(), prompt.frame_rate, prompt.codebook_size)

    def _first_level(self, text: Tensor, prompt: Tensor, sampler: Sampler) -> Tensor:
        begin = [self.config.start] if self.config.prepend_bos else []
        ids = self.ar.ids(text, torch.cat([prompt.new_tensor(begin), prompt]))
        rule = _End(self.config.end, self.device)
        (found,) = decode(Spoken(self.ar, len(text)), [ids], rule, sampler, self.longest(text))
        return found.tokens[:-1] if found.finished else found.tokens

    def _text_of_levels(self, text: Tensor, prompt_text_length: int | None) -> Tensor:
        if self.config.prefix_mode not in (2, 4):
            return text
        if prompt_text_length is None or not 2 <= prompt_text_length < len(text):
            requirement = f"from 2 to {len(text) - 1} ids in prefix mode {self.config.prefix_mode}"
            raise ValueError(must("prompt_text_length", requirement, prompt_text_length))
        return torch.cat([text[:1], text[prompt_text_length - 1 :]])

    def _other_levels(self, text: Tensor, prompt: Tensor, first: Tensor) -> Tensor:
        """Return all levels (num_codebooks, n) of new frames with codes `first` (n,) after a prompt (levels, P)."""
        levels, frames = self.config.num_codebooks, prompt.shape[1]
        audio = self.nar.embedded(torch.cat([prompt[:1], first[None]], 1)[:, None], range(1))
        if self.config.prefix_mode and frames:
            audio[:, :frames] += self.nar.embedded(prompt[:, None], range(1, levels))
        made = [first]
        for level in range(1, levels):
            logits = self.nar(text[None], audio, level)[0, frames:]
            made.append(logits.argmax(-1))
            audio[:, frames:] += self.nar.audio[level](made[-1])
            if not self.config.prefix_mode:
                audio[:, :frames] += self.nar.audio[level](prompt[level])
        return torch.stack(made)

    def _next(self, texts: Sequence[Tensor], codes: Sequence[Tensor]) -> list[Tensor]:
        begin = [self.config.start] if self.config.prepend_bos else []
        audio = [torch.cat([c.new_tensor(begin), c[0]]) for c in codes]
        ids = pad_sequence([self.ar.ids(t, a) for t, a in zip(texts, audio, strict=True)], batch_first=True)
        lengths = torch.tensor([[len(text)] for text in texts], device=ids.device)
        hidden = self.ar.hidden(ids, lengths)
        rows = zip(hidden, texts, audio, strict=True)
        return [self.ar.output(row[len(text) : len(text) + len(a)]) for row, text, a in rows]

    def _filled(self, texts: Sequence[Tensor], codes: Sequence[Tensor], level: int) -> list[Tensor]:
        text = pad_sequence(list(texts), batch_first=True)
        padded = pad_sequence([c.T for c in codes], batch_first=True).permute(2, 0, 1)
        keys = [_inside([len(x) for x in texts]), _inside([c.shape[1] for c in codes])]
        audio = self.nar.embedded(padded, range(level))
        logits = self.nar(text, audio, level, torch.cat(keys, 1).to(text.device))
        return [row[: c.shape[1]] for row, c in zip(logits, codes, strict=True)]

    def _check(self, text: Tensor, prompt: Codes) -> None:
        if text.ndim != 1 or text.is_floating_point() or len(text) < 3:
            raise ValueError(must("text", "ids (n,) of one or more phones between begin and end", text))
        if int(text.min()) < 0 or int(text.max()) >= self.config.text_size:
            found = f"a tensor with ids from {int(text.min())} to {int(text.max())}"
            raise ValueError(must("text", f"ids from 0 to {self.config.text_size - 1}", found))
        wanted = (self.config.num_codebooks, self.config.codebook_size)
        if (prompt.num_codebooks, prompt.codebook_size) != wanted:
            found = f"a prompt of {prompt.num_codebooks} codebooks of {prompt.codebook_size}"
            raise ValueError(must("prompt", f"of {wanted[0]} codebooks of {wanted[1]}", found))
        if not len(prompt) and not self.config.prepend_bos:
            raise ValueError(must("prompt", "at least one frame long", "a prompt of no frames"))


class _End:
    """Ends a sequence with the end code, sampled or merely the likeliest."""

    def __init__(self, end: int, device: torch.device) -> None:
        self._end = end
        self._likeliest = torch.zeros(1, dtype=torch.int64, device=device)

    def adjust(self, logits: Tensor) -> Tensor:
        self._likeliest.copy_(logits.argmax(-1))
        return logits

    def advance(self, tokens: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(tokens, FREE), (tokens == self._end) | (self._likeliest == self._end)

    def select(self, rows: Tensor) -> None:
        self._likeliest = self._likeliest[rows]


def _inside(lengths: Sequence[int]) -> Tensor:
    """Return (B, max) bool: True below each length."""
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def load(path: str | Path, heads: int = 16, prefix_mode: int = 0, symbols: str | Path | None = None) -> USLM:
    """Load a published `{"model": ...}` or the project's `.safetensors`, from its file or folder.

    A published file shows neither its heads nor its prefix mode; the defaults are those of the published model.
    `symbols`: the published symbol table, None for `unique_text_tokens.k2symbols` beside the weights, if it is there;
    without one the model has no `tokenizer`. The project's files hold theirs.
    Raises FileNotFoundError, or CheckpointError for a file that is damaged or of another kind.
    """
    return USLM.from_checkpoint(read_published(weights_file(path), heads, prefix_mode, symbols))


def read_published(path: Path, heads: int = 16, prefix_mode: int = 0, symbols: str | Path | None = None) -> Checkpoint:
    """Read a published USLM with its symbol table as a checkpoint; arguments and errors as for `load`."""
    found = read(path, "uslm", partial(published, heads=heads, prefix_mode=prefix_mode))
    table = path.with_name(SYMBOLS) if symbols is None else Path(symbols)
    if found.tokenizer is not None or (symbols is None and not table.is_file()):
        return found
    return replace(found, tokenizer=PhoneTokenizer.from_k2(table).to_dict())

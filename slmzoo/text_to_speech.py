"""USLM and the codec whose codes it writes, as zero-shot text to speech."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from slmcore import audio
from slmcore.checks import whole
from slmcore.errors import must
from slmcore.files.content import is_safetensors
from slmcore.roles import Codec
from slmcore.speech import Speech
from slmcore.units import Codes
from slmzoo.sources import Source
from speechtokenizer import uslm as uslm_package
from speechtokenizer.uslm import USLM
from speechtokenizer.uslm.espeak import phones_of

__all__ = ["USLMSpeech", "load"]


class USLMSpeech(nn.Module):
    """Text to speech in the voice of a prompt, by USLM (arXiv 2308.16692) and a codec such as SpeechTokenizer."""

    def __init__(self, uslm: USLM, codec: Codec) -> None:
        super().__init__()
        written = (uslm.config.num_codebooks, uslm.config.codebook_size)
        if (codec.num_codebooks, codec.num_codes) != written:
            raise ValueError(
                f"USLM writes {written[0]} codebooks of {written[1]} codes, but the codec has {codec.num_codebooks} of "
                f"{codec.num_codes}. Load the codec that USLM was trained with."
            )
        if uslm.tokenizer is None:
            remedy = f"Give `symbols`, or put {uslm_package.SYMBOLS} beside the weights."
            raise ValueError(must("uslm", "a model with its table of phones", "one without", remedy))
        self.uslm, self.codec, self.tokenizer = uslm, codec, uslm.tokenizer
        self.eval()

    @property
    def sample_rate(self) -> int:
        """Hz of the speech."""
        return self.codec.sample_rate

    def phones(self, text: str) -> list[str]:
        """Return the phones of a text. Raises ValueError for text without any, ImportError without espeak-ng."""
        return phones_of(text, self.tokenizer.language)

    @torch.no_grad()
    def say(
        self,
        text: str,
        prompt: Tensor,
        sr: int,
        *,
        prompt_text: str = "",
        num_samples: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> list[Speech]:
        """Speak `text` in the voice of `prompt`, a waveform (1, samples) or (channels, samples) at `sr` Hz.

        `prompt_text` is what the prompt says; without it the model, which was trained on whole utterances, may repeat
        or skip words. Sample i is that of seed + i; temperature 0 or top_k 1 is greedy. `codes` of the result are those
        of the first level. Raises ValueError for a text without phones or with phones that the model has not seen, or a
        prompt shorter than 20 ms; ImportError without phonemizer or espeak-ng.
        """
        num_samples = whole("num_samples", num_samples, 1)
        before = self.tokenizer.encode(self.phones(prompt_text)) if prompt_text.strip() else None
        self.phones(text)  # the prompt's words alone are no text to speak
        ids = self.tokenizer.encode(self.phones(f"{prompt_text} {text}"))
        known = self.codec.encode_wav(audio.mono(prompt), sr)
        options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        length = None if before is None else len(before)
        drawn = range(seed, seed + num_samples)
        made = [self.uslm.generate(ids, known, prompt_text_length=length, seed=each, **options) for each in drawn]
        return [self._speech(codes, self.uslm.longest(ids)) for codes in made]

    def _speech(self, codes: Codes, longest: int) -> Speech:
        first = codes.codes[0].cpu()
        wav = self.codec.decode_codes(codes)
        return Speech(wav, self.sample_rate, first, len(first) < longest, torch.ones_like(first), codes.frame_rate)


def load(
    codec: Callable[[str | None], Codec],
    kind: str,
    where: Source,
    variant: str | None = None,
    symbols: str | Path | None = None,
) -> USLMSpeech:
    """Load the USLM of a source, its phones, and its codec.

    `codec` loads the codec of a variant, of `kind`: that of the USLM's name if the zoo has one, else the zoo's first.
    `symbols` is the symbol table of a published `checkpoint`, None for the one beside it.
    """
    row = where.find("uslm", variant=where.variant("uslm", variant))
    path = where.path(row)
    if row is not None and not is_safetensors(path):
        symbols = where.path(where.find("uslm_symbols", variant=row.variant))
    model = uslm_package.load(path, symbols=symbols).to(where.map_location)
    variants = where.variants(kind)
    return USLMSpeech(model, codec(row.variant if row is not None and row.variant in variants else None))

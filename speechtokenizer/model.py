"""SpeechTokenizer (arXiv 2308.16692): speech to residual codes, the first level distilled from HuBERT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from slmcore import audio
from slmcore.batching import by_length
from slmcore.checks import described
from slmcore.errors import must
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.layers.seanet import SEANetDecoder, SEANetEncoder
from slmcore.layers.segments import in_segments
from slmcore.layers.vq import ResidualVQ, check_codes
from slmcore.units import Codes
from speechtokenizer.config import SpeechTokenizerConfig
from speechtokenizer.published import config_beside, config_in, published

__all__ = ["SpeechTokenizer", "load"]

_SEGMENT_SECONDS = 4.0
"""Longest stretch of audio that the convolutions process at once: on a CPU a quarter faster, since activations stay in
the caches."""
_WINDOW_SECONDS, _CONTEXT_SECONDS = 120.0, 5.0
"""Longest window of the LSTMs; longer audio has several, with context on both sides far beyond their memory."""


class SpeechTokenizer(Saved):
    """SEANet encoder and decoder around residual codebooks; level 1 holds content, the others timbre and the rest.

    Two sets of verbs: the published ones (`encode`, `decode`, `forward_feature`, `forward`) take and give batches of
    the model's rate, those of every codec (`encode_wav`, `decode_codes`) one utterance at any rate. Codes are int64 on
    the CPU. Above two minutes audio is encoded and decoded in windows of that length with 5 s of context on each side,
    so that memory is bounded. Codebooks and distances stay in float32 under `.half()` and `.to(torch.bfloat16)`.
    """

    kind = "speechtokenizer"
    entry_point = "speechtokenizer"

    def __init__(self, config: SpeechTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SEANetEncoder(config.seanet)
        same = config.semantic_dimension == config.dimension
        self.transform = nn.Identity() if same else nn.Linear(config.dimension, config.semantic_dimension)
        self.quantizer = ResidualVQ(config.num_codebooks, config.codebook_size, config.dimension)
        self.decoder = SEANetDecoder(config.seanet)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> SpeechTokenizer:
        """Build the model that a checkpoint describes, in float32 and eval mode; CheckpointError if it does not fit."""
        config = SpeechTokenizerConfig.from_dict(checkpoint.config)
        return build(lambda: cls(config), checkpoint.state)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> SpeechTokenizer:
        """Load a published or saved model from its file or folder; a config.json beside published weights is read.

        Example: `SpeechTokenizer.from_pretrained("SpeechTokenizer.pt").encode_wav(wav, sr)`. Raises FileNotFoundError,
        or CheckpointError for a file that is damaged or of another kind.
        """
        return load(path)

    @classmethod
    def load_from_checkpoint(cls, config_path: str | Path, ckpt_path: str | Path) -> SpeechTokenizer:
        """Load published weights with a config of any name, as the published class does, on the CPU.

        Raises FileNotFoundError, or CheckpointError for a file that is damaged or of another kind.
        """
        config = config_in(Path(config_path))
        return cls.from_checkpoint(read(ckpt_path, cls.kind, partial(published, config=config)))

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        return self.config.sample_rate

    @property
    def hop(self) -> int:
        """Samples in a frame."""
        return self.config.seanet.hop

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    @property
    def num_codes(self) -> int:
        """Codes in each codebook."""
        return self.config.codebook_size

    @property
    def num_codebooks(self) -> int:
        """Levels of the quantiser."""
        return self.config.num_codebooks

    @torch.no_grad()
    def encode(self, x: Tensor, n_q: int | None = None, st: int | None = None) -> Tensor:
        """Encode waveforms (B, 1, samples) at `sample_rate` to codes (levels, B, frames), frames = ceil(samples / hop).

        Levels st..n_q - 1 are used; None and 0 mean from the first and to the last. With st > 0 level st quantises the
        encoder's output itself: such codes are not rows of the full code. Raises ValueError for another shape or
        missing levels.
        """
        first, last = self._levels(n_q, st)

        def codes_of(wav: Tensor) -> Tensor:
            return self.quantizer.encode(self._encoded(wav), first, last).transpose(0, 1)

        return self._in_windows(codes_of, self._checked(x), self.hop, 1).transpose(0, 1).cpu()

    @torch.no_grad()
    def decode(self, codes: Tensor, st: int = 0) -> Tensor:
        """Decode codes (n, B, frames) of levels st..st + n - 1 to waveforms (B, 1, frames * hop), float32.

        `decode(codes[:1])` is content alone, `decode(codes[1:], st=1)` the rest. Raises ValueError for another shape, a
        code outside the codebook, or more levels than there are.
        """
        check_codes(codes, self.num_codes, "(levels, B, frames)", 3)
        if not codes.shape[-1]:
            return torch.zeros(codes.shape[1], 1, 0, device=self.device)

        def wav_of(codes: Tensor) -> Tensor:
            vectors = self.quantizer.decode(codes.transpose(0, 1), st).to(self._dtype)
            return self.decoder.in_segments(vectors, self._segment).float().unsqueeze(1)

        return self._in_windows(wav_of, codes.transpose(0, 1).to(self.device, torch.int64), 1, self.hop)

    @torch.no_grad()
    def forward_feature(self, x: Tensor, layers: Sequence[int] | None = None) -> list[Tensor]:
        """Return each level's own quantised vectors (B, dimension, frames) of waveforms (B, 1, samples).

        Only those of `layers` (0-based), always in ascending order; None and [] mean all.
        """
        wanted = sorted(set(layers or range(self.num_codebooks)))
        if wanted[0] < 0 or wanted[-1] >= self.num_codebooks:
            raise ValueError(must("layers", f"levels from 0 to {self.num_codebooks - 1}", list(layers or [])))
        vectors = self.quantizer.vectors(self.quantizer.encode(self._latents(x), 0, wanted[-1] + 1))
        return [vectors[level] for level in wanted]

    def forward(self, x: Tensor, n_q: int | None = None, layers: Sequence[int] = (0,)) -> tuple[Tensor, Tensor, Tensor]:
        """Code and decode waveforms (B, 1, samples), with gradients: (audio, commitment loss, feature).

        Audio (B, 1, frames * hop) comes from the first `n_q` levels; the loss is a scalar, 0 in eval mode; the feature
        (B, frames, semantic_dimension) is projected from the vectors of the lowest level in `layers`, for the
        distillation loss. Raises ValueError for a level >= n_q.
        """
        _, last = self._levels(n_q, 0)
        if not layers or min(layers) < 0 or max(layers) >= last:
            raise ValueError(must("layers", f"one or more levels from 0 to {last - 1}", list(layers)))
        found = self.quantizer(self._latents(x), last)
        audio_of = self.decoder(found.latents.to(self._dtype)).unsqueeze(1)
        feature = self.transform(found.parts[min(layers)].mT.to(self._dtype))
        commitment = found.commitment if self.training else torch.zeros_like(found.commitment)
        return audio_of, commitment, feature

    def encode_wav(self, wav: Tensor, sr: int) -> Codes:
        """Encode a waveform (1, samples) at `sr` Hz, which is resampled, with all levels.

        Raises ValueError for another shape, a rate <= 0, values that are not finite, or less than 20 ms.
        """
        return self.encode_batch([wav], sr)[0]

    def decode_codes(self, codes: Codes) -> Tensor:
        """Decode to a waveform (1, frames * hop), float32 at `sample_rate`; fewer levels are the first ones.

        Raises ValueError for codes of another codec.
        """
        return self.decode_batch([codes])[0]

    def encode_batch(self, wavs: Sequence[Tensor], sr: int) -> list[Codes]:
        """Encode waveforms (1, samples) at `sr` Hz, each as alone: only those of one length share a pass."""
        codes = by_length(self._at_sample_rate(wavs, sr), lambda stacked: self.encode(stacked).transpose(0, 1))
        return [Codes(found.contiguous(), self.frame_rate, self.num_codes) for found in codes]

    def decode_batch(self, codes: Sequence[Codes]) -> list[Tensor]:
        """Decode to waveforms (1, frames * hop), each as alone: only those of one length and number share a pass."""
        for sequence in codes:
            sequence.check_made_by(self.num_codebooks, self.num_codes, self.frame_rate)
        return by_length([each.codes for each in codes], lambda stacked: self.decode(stacked.transpose(0, 1)))

    def convert(self, content: Codes, voice: Codes) -> Tensor:
        """Convert the words of `content` to the voice of `voice`: a waveform (1, frames * hop).

        Level 1 of `content` is decoded with the other levels of `voice`, repeated or cut to its length (section 4.4 of
        the paper). Raises ValueError for codes of another codec, or a voice without frames or with one level only.
        """
        if voice.num_codebooks < 2 or not len(voice):
            found = f"a sequence of {voice.num_codebooks} levels and {len(voice)} frames"
            raise ValueError(must("voice", "of two or more levels and at least one frame", found))
        voice.check_made_by(self.num_codebooks, self.num_codes, self.frame_rate)
        index = torch.arange(len(content)) % len(voice)
        mixed = torch.cat([content.codes[:1], voice.codes[1:, index]])
        return self.decode_codes(Codes(mixed, content.frame_rate, content.codebook_size))

    def analyse(self, wav: Tensor) -> Tensor:
        """Encode waveforms (B, samples) at `sample_rate` to latents (B, dimension, frames), with gradients."""
        return self.encoder(wav)

    def synthesise(self, latents: Tensor) -> Tensor:
        """Decode latents (B, dimension, frames) to waveforms (B, frames * hop), with gradients."""
        return self.decoder(latents)

    @property
    def first_codebook(self) -> Tensor:
        """Code vectors (codes, dimension) of level 1, float32."""
        return self.quantizer.first.embed

    @torch.no_grad()
    def first_level_features(self, wavs: Sequence[Tensor], sr: int) -> list[Tensor]:
        """Return the vectors (frames, dimension) that level 1 quantises, float32, of waveforms as for
        `encode_batch`."""
        latents = by_length(self._at_sample_rate(wavs, sr), self._latents)
        return [each.mT.float() for each in latents]

    @property
    def _segment(self) -> int:
        return max(1, int(_SEGMENT_SECONDS * self.frame_rate))

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.encoder.parameters()).dtype

    def _at_sample_rate(self, wavs: Sequence[Tensor], sr: int) -> list[Tensor]:
        for wav in wavs:
            audio.check(wav, sr)
        return [audio.resample(wav.to(self.device, torch.float32), sr, self.sample_rate) for wav in wavs]

    def _latents(self, x: Tensor) -> Tensor:
        wav = self._checked(x)
        if torch.is_grad_enabled():
            return self.encoder(wav)
        return self._in_windows(self._encoded, wav, self.hop, 1)

    def _encoded(self, wav: Tensor) -> Tensor:
        return self.encoder.in_segments(wav, self._segment)

    def _in_windows(self, function: Callable[[Tensor], Tensor], x: Tensor, taken: int, made: int) -> Tensor:
        window, context = (max(1, int(each * self.frame_rate)) for each in (_WINDOW_SECONDS, _CONTEXT_SECONDS))
        return in_segments(function, x, taken, made, window, context)

    def _checked(self, x: Tensor) -> Tensor:
        """Return waveforms (B, samples) for the encoder, of waveforms (B, 1, samples)."""
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim != 3 or x.shape[1] != 1 or not x.shape[2]:
            raise ValueError(must("x", "a float tensor (B, 1, samples), samples >= 1", described(x)))
        return x.squeeze(1).to(self.device, self._dtype)

    def _levels(self, n_q: int | None, st: int | None) -> tuple[int, int]:
        first, last = st or 0, n_q or self.num_codebooks
        if not 0 <= first < last <= self.num_codebooks:
            remedy = f"`n_q` is the end of the levels, at most {self.num_codebooks}, not their number."
            raise ValueError(must("st and n_q", "0 <= st < n_q", f"a range from {first} to {last}", remedy))
        return first, last


def load(path: str | Path, beside: bool = True) -> SpeechTokenizer:
    """Load published weights (their config.json is read if it is beside them) or the project's `.safetensors`.

    `path` is the file, or a folder with one. `beside` False reads all sizes off the weights: a cache folder may hold
    the config.json of another model. Raises FileNotFoundError, or CheckpointError for a file that is damaged
    or of another kind.
    """
    file = weights_file(path)
    config = config_beside(file) if beside and file.suffix != ".safetensors" else None
    return SpeechTokenizer.from_checkpoint(read(file, "speechtokenizer", partial(published, config=config)))

"""Streaming features, in overlapping windows."""

from __future__ import annotations

import torch
from torch import Tensor

from slmcore.audio.checks import shown, whole_rate
from slmcore.errors import must
from slmcore.roles import Encoder
from slmzoo.streaming.timing import Timing

__all__ = ["FrameStream"]


class FrameStream:
    """Encode a waveform chunk by chunk; the grid of windows, and so the result, does not depend on the chunks.

    Every window is encoded with context on both sides, whose frames are dropped. An encoder that norms the whole
    utterance (HuBERT base, wav2vec 2.0) norms each window instead.
    """

    def __init__(self, encoder: Encoder, sr: int, layer: int | None = None, timing: Timing | None = None) -> None:
        """Take an encoder, the rate of the chunks in Hz, and the `layer` of its features.

        Raises ValueError, with the encoder's name, unless each stretch of speech gives its own frames.
        """
        self._encoder, self._sr, self._layer = encoder, whole_rate(sr), layer
        timing = Timing() if timing is None else timing
        rate = float(encoder.frame_rate)
        self._step = max(1, round(timing.step * rate))
        self._ahead, self._context = round(timing.ahead * rate), round(timing.context * rate)
        self._check_encoder()
        self._begin()

    @property
    def kept(self) -> int:
        """Number of samples buffered for the next windows."""
        return self._buffer.shape[1]

    def push(self, wav: Tensor) -> list[Tensor]:
        """Take the next samples (samples,) or (channels, samples), averaged; return the features of complete windows.

        Each is float32 (step, dim) on the encoder's device. Raises ValueError for another shape and for samples that
        are not finite, and takes none of them.
        """
        self._buffer = torch.cat([self._buffer, _mono(wav)], 1)
        found = []
        while self._offset + self.kept >= self._sample(self._done + self._step + self._ahead):
            found.append(self._encoded(self._done + self._step))
            self._done += self._step
        self._forget()
        return found

    def flush(self) -> list[Tensor]:
        """End the utterance: the remaining features, (frames, dim). The next push begins another one.

        Raises ValueError, as the encoder does, for an utterance that is too short for it.
        """
        try:
            return [self._encoded(None)] if self.kept else []
        finally:
            self._begin()

    def _begin(self) -> None:
        self._buffer = torch.zeros(1, 0)
        self._offset = self._done = 0

    def _sample(self, frame: int) -> int:
        """First sample of a frame."""
        return round(frame * self._sr / self._encoder.frame_rate)

    def _encoded(self, end: int | None) -> Tensor:
        """Features of the frames up to `end` that are not done yet; None is the end of the utterance."""
        first = max(0, self._done - self._context)
        last = None if end is None else self._sample(end + self._ahead) - self._offset
        window = self._buffer[:, self._sample(first) - self._offset : last]
        features = self._encoder.features(window, self._sr, self._layer)
        return features[self._done - first : None if end is None else end - first]

    def _forget(self) -> None:
        keep = self._sample(max(0, self._done - self._context)) - self._offset
        # A copy: a view would keep every sample of the chunk alive.
        self._buffer = self._buffer[:, keep:].clone()
        self._offset += keep

    def _check_encoder(self) -> None:
        """Compare the number of frames of a window with the frame rate."""
        end = self._context + self._step
        window = torch.zeros(1, self._sample(end + self._ahead))
        num_features = len(self._encoder.features(window, self._sr, self._layer))
        if end <= num_features <= end + self._ahead + 1:
            return
        name = type(self._encoder).__name__
        if num_features < end and num_features + self._ahead + 3 >= end:
            remedy = f"The last of {end} frames needs more than {self._ahead} frames of speech after it."
            raise ValueError(must("ahead", f"longer for {name}", self._ahead / self._encoder.frame_rate, remedy))
        mismatch = f"{end + self._ahead} frames of speech give {num_features} features"
        raise ValueError(f"{name} cannot be streamed in windows: {mismatch}. Encode whole utterances with `features`.")


def _mono(wav: Tensor) -> Tensor:
    usable = isinstance(wav, Tensor) and wav.is_floating_point() and (wav.ndim == 1 or (wav.ndim == 2 and len(wav) > 0))
    if not usable:
        raise ValueError(must("chunk", "a float tensor (samples,) or (channels, samples)", shown(wav)))
    mono = wav[None] if wav.ndim == 1 else wav.mean(0, keepdim=True)
    if not torch.isfinite(mono).all():
        raise ValueError(must("chunk", "finite", "a chunk with NaN or infinite samples"))
    return mono.float().cpu()

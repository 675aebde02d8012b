"""The quantiser module: features to units by DPDP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

from torch import Tensor, nn

from dpdp.distances import Codes, check_codebook, check_features, check_lmbda, check_num_neighbors
from dpdp.viterbi import decode
from slmcore.errors import must
from slmcore.units import OperatingPoint, Units

__all__ = ["DPDPQuantizer"]


class DPDPQuantizer(nn.Module):
    """Quantise features so that units change seldom: minimise sum_t |x_t - c_u_t|^2 - lmbda * #{t: u_t = u_t-1}.

    The optimum is exact (see `dpdp.viterbi`, also for ties) and costs little more than the nearest codes. Kamper,
    arXiv 2202.11929.
    """

    codebook: Tensor

    def __init__(
        self,
        codebook: Tensor,
        lmbda: float,
        num_neighbors: int | None = None,
        *,
        frame_rate: float = 50.0,
        operating_point: OperatingPoint | None = None,
    ) -> None:
        """Take the codes and the weight of the duration penalty.

        `codebook`: (K, D), kept in float32; `lmbda`: >= 0, in squared feature units; `num_neighbors`: how many of its
        nearest codes a frame may take, a tie for the last place going to the lower index, None for all;
        `frame_rate`: frames a second, which `segment` writes into its `Units` together with `operating_point`.
        Raises ValueError or TypeError for what is none of that.
        """
        super().__init__()
        check_codebook(codebook)
        if not frame_rate > 0:
            raise ValueError(must("frame_rate", "a number of frames a second > 0", frame_rate))
        self.lmbda = check_lmbda(lmbda)
        check_num_neighbors(num_neighbors, len(codebook))
        self.num_neighbors = num_neighbors
        self.frame_rate = frame_rate
        self.operating_point = operating_point
        self.register_buffer("codebook", codebook.detach().float().clone())

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Quantise one utterance, `features` (T, D).

        Returns the codes chosen, (T, D) in the dtype of the features, as the straight-through estimate
        x - (x - c_u).detach(), and the units, int64 (T,).
        """
        units = self._framewise([features])
        x = features.float()
        quantized = x - (x - self.codebook[units]).detach()
        return quantized.to(features.dtype), units

    @overload
    def segment(self, features: Tensor, lengths: None = None) -> Units: ...

    @overload
    def segment(self, features: Tensor, lengths: Tensor | Sequence[int]) -> list[Units]: ...

    @overload
    def segment(self, features: Sequence[Tensor], lengths: None = None) -> list[Units]: ...

    def segment(
        self, features: Tensor | Sequence[Tensor], lengths: Tensor | Sequence[int] | None = None
    ) -> Units | list[Units]:
        """Units and durations of one utterance or of many.

        `features`: (T, D), which gives one `Units`; a list of (T_i, D), or padded (B, T, D) with `lengths` (B,) in
        frames (all T without), which give a list. What lies in the padding does not matter.
        """
        utterances = _utterances(features, lengths)
        framewise = self._framewise(utterances).split([len(x) for x in utterances])
        segments = [Units.from_framewise(units, self.frame_rate, self.operating_point) for units in framewise]
        return segments[0] if isinstance(features, Tensor) and features.ndim == 2 else segments

    def extra_repr(self) -> str:
        """What `print` shows of the module."""
        k, d = self.codebook.shape
        return f"k={k}, d={d}, lmbda={self.lmbda}, num_neighbors={self.num_neighbors}"

    def _framewise(self, utterances: Sequence[Tensor]) -> Tensor:
        codes = Codes.of(self.codebook)
        for x in utterances:
            check_features(x, codes)
        neighbors = check_num_neighbors(self.num_neighbors, len(codes))
        return decode(utterances, codes, [check_lmbda(self.lmbda)], neighbors)[0]

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> DPDPQuantizer:
        """Let `.to`, `.half` and the like move the codebook, but never round it."""
        codebook = self.codebook
        super()._apply(fn, recurse)
        moved = self.codebook
        self.codebook = moved.float() if codebook.is_meta else codebook.to(moved.device)
        return self


def _utterances(features: Tensor | Sequence[Tensor], lengths: Tensor | Sequence[int] | None) -> list[Tensor]:
    if isinstance(features, (list, tuple)) or (isinstance(features, Tensor) and features.ndim == 2):
        if lengths is not None:
            raise ValueError(must("lengths", "None unless features are padded (B, T, D)", lengths))
        utterances = [features] if isinstance(features, Tensor) else list(features)
        if not utterances:
            raise ValueError(must("features", "at least one utterance", features))
        return utterances
    if not isinstance(features, Tensor):
        raise TypeError(must("features", "a tensor or a list of tensors", features))
    if features.ndim != 3:
        shown = f"a {features.dtype} tensor of {tuple(features.shape)}"
        raise ValueError(must("features", "a tensor (T, D) or (B, T, D), or a list of (T, D)", shown))
    frames = features.shape[1]
    lengths = [frames] * len(features) if lengths is None else [int(n) for n in lengths]
    if len(lengths) != len(features) or not all(1 <= n <= frames for n in lengths):
        raise ValueError(must("lengths", f"{len(features)} numbers of frames in 1..{frames}", lengths))
    return [x[:n] for x, n in zip(features, lengths, strict=True)]

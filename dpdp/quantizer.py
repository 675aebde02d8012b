"""The quantiser module: features to units by DPDP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from dpdp.batch import is_single, utterances
from dpdp.distances import Codes, check_codebook, check_features, check_lmbda, check_num_neighbors
from dpdp.lmbda import sweep
from dpdp.online import OnlineDPDP
from dpdp.segments import segments
from dpdp.viterbi import decode
from slmcore.checks import described
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.units import OperatingPoint, Units

__all__ = ["DPDPQuantizer", "load"]


class DPDPQuantizer(Saved):
    """Quantiser by DPDP: minimise sum_t |x_t - c_u_t|^2 - lmbda * #{t: u_t = u_t-1}.

    The optimum is exact (see `dpdp.viterbi`, also for ties) and costs little more than nearest codes. Kamper, arXiv
    2202.11929.

    Example: `DPDPQuantizer(torch.randn(100, 768), lmbda=50.0).segment(torch.randn(200, 768)).units`
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
        """Set the codes and the weight of the duration penalty.

        `codebook`: (K, D), kept in float32; `lmbda`: >= 0, in squared feature units; `num_neighbors`: number of nearest
        codes that a frame may take, ties for the last place going to the lower index, None for all; `frame_rate`:
        frames per second of the `Units` that `segment` returns, with `operating_point`. Raises ValueError or TypeError
        for invalid arguments.
        """
        super().__init__()
        check_codebook(codebook)
        if not frame_rate > 0:
            raise ValueError(must("frame_rate", "a number of frames per second > 0", frame_rate))
        self.lmbda = check_lmbda(lmbda)
        found = check_num_neighbors(num_neighbors, len(codebook))
        self.num_neighbors = None if num_neighbors is None else found
        self.frame_rate = frame_rate
        self.operating_point = operating_point
        self.register_buffer("codebook", codebook.detach().float().clone())
        self._codes: tuple[Tensor, int, Codes] | None = None

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> DPDPQuantizer:
        """Build the quantiser of a checkpoint of kind "dpdp"; CheckpointError if it does not describe one."""
        point = checkpoint.operating_point
        try:
            return cls(checkpoint.state["codebook"], **checkpoint.config, operating_point=point).eval()
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"The checkpoint does not describe a DPDP quantiser: {error}") from error

    @classmethod
    def from_pretrained(cls, path: str | Path) -> DPDPQuantizer:
        """Load a saved quantiser: a file, a folder with one, or `hf://owner/repo`.

        Raises FileNotFoundError, or CheckpointError for a file that is damaged or of another kind.
        """
        return load(weights_file(path))

    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """Return codebook, lambda and neighbours, to be written with `slmcore.files.checkpoint.save`."""
        return Checkpoint(
            kind="dpdp",
            config={"lmbda": self.lmbda, "num_neighbors": self.num_neighbors, "frame_rate": self.frame_rate},
            state=dict(self.state_dict()),
            operating_point=self.operating_point,
            provenance=dict(provenance or {}),
        )

    @property
    def k(self) -> int:
        """Number of codes."""
        return self.codebook.shape[0]

    @property
    def dim(self) -> int:
        """Width of the features."""
        return self.codebook.shape[1]

    @property
    def device(self) -> torch.device:
        """Device of the codebook."""
        return self.codebook.device

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Quantise one utterance, `features` (T, D).

        Returns the codes chosen, (T, D) in the dtype of the features, as the straight-through estimate
        x - (x - c_u).detach(), and the units, int64 (T,).
        """
        if isinstance(features, Tensor) and features.ndim == 3:
            raise ValueError(
                must("features", "one utterance (T, D)", described(features), "Use `segment` for a batch.")
            )
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
        """Quantise one utterance or many to units with durations.

        `features`: (T, D), for one `Units`; a list of (T_i, D), or padded (B, T, D) with `lengths` (B,) in frames (all
        T if left out), for a list. The padding is ignored.
        """
        batch = utterances(features, lengths)
        framewise = self._framewise(batch)
        found = segments(framewise, [len(x) for x in batch], self.frame_rate, self.operating_point)
        return found[0] if is_single(features) else found

    def sweep(self, features: Sequence[Tensor], lmbdas: Sequence[float]) -> list[list[Units]]:
        """Quantise many utterances (T_i, D) at several lambdas; units per lambda and utterance.

        Distances are computed once for all lambdas (see `dpdp.lmbda.sweep`); the units carry no operating point.
        """
        return sweep(features, self.codebook, lmbdas, self.num_neighbors, frame_rate=self.frame_rate)

    def stream(self, max_delay: int | None = None) -> OnlineDPDP:
        """Return the search of one stream with these codes and numbers (see `OnlineDPDP`)."""
        return OnlineDPDP(self.codebook, self.lmbda, self.num_neighbors, max_delay)

    def extra_repr(self) -> str:
        """Return the summary that `print` shows."""
        k, d = self.codebook.shape
        return f"k={k}, d={d}, lmbda={self.lmbda}, num_neighbors={self.num_neighbors}"

    def _framewise(self, batch: Sequence[Tensor]) -> Tensor:
        codes = self._prepared()
        for x in batch:
            check_features(x, codes)
        neighbors = check_num_neighbors(self.num_neighbors, len(codes))
        return decode(batch, codes, [check_lmbda(self.lmbda)], neighbors)[0]

    def _prepared(self) -> Codes:
        """Return the prepared codes, cached until the codebook is replaced or changed in place."""
        codebook = self.codebook
        if codebook.is_inference():  # its in-place changes are not counted
            return Codes.of(codebook)
        if self._codes is None or self._codes[0] is not codebook or self._codes[1] != codebook._version:
            self._codes = codebook, codebook._version, Codes.of(codebook)
        return self._codes[2]

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> DPDPQuantizer:
        """Let `.to`, `.half` and the like move the codebook without rounding it."""
        codebook = self.codebook
        self._codes = None
        super()._apply(fn, recurse)
        moved = self.codebook
        self.codebook = moved.float() if codebook.is_meta else codebook.to(moved.device)
        return self


def load(path: str | Path) -> DPDPQuantizer:
    """Load a quantiser saved as a `.safetensors` of the project."""
    return DPDPQuantizer.from_checkpoint(read(path, "dpdp", _not_published))


def _not_published(content: Any) -> Checkpoint:
    remedy = "Load a published codebook with slmcore.clustering.codebook.load, and give its codes to DPDPQuantizer."
    raise CheckpointError(must("checkpoint", "a quantiser that save_pretrained wrote", "a pickle", remedy))

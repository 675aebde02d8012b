"""The duration predictor of unit vocoders (Polyak et al. 2021; FastSpeech 2, arXiv 2006.04558, section 2.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from slmcore.layers.precision import Float32

__all__ = ["DurationPredictor"]


class DurationPredictor(Float32):
    """Two convolutions with layer norms over a sequence of units, then log(frames + 1) of each."""

    dropout = 0.0
    """Dropout probability in training, behind each layer norm."""

    def __init__(self, dim: int, width: int, kernel: int) -> None:
        super().__init__()
        # Published code pads the second by 1, which is right for kernels of 3 only.
        self.conv1 = nn.Conv1d(dim, width, kernel, padding=kernel // 2)
        self.ln1 = nn.LayerNorm(width)
        self.conv2 = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.ln2 = nn.LayerNorm(width)
        self.proj = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings of units (B, n, dim) to the logarithm of their frames plus one, (B, n)."""
        x = self._dropped(self.ln1(self.conv1(x.mT).relu().mT))
        x = self._dropped(self.ln2(self.conv2(x.mT).relu().mT))
        return self.proj(x).squeeze(-1)

    def _dropped(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)

    @torch.no_grad()
    def durations(self, x: Tensor) -> Tensor:
        """Frames of each unit, int64 (B, n), at least 1, of embeddings (B, n, dim); halves are rounded to even."""
        return (self(x).exp() - 1).round().long().clamp(min=1)

"""Discriminators of `train codec`: of periods and of complex spectra, of one width."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from slmcore.layers.discriminators.complex_stft import STFTDiscriminator
from slmcore.layers.discriminators.multi_period import PERIODS, PeriodDiscriminator
from slmcore.layers.discriminators.outputs import ScaleOutput

__all__ = ["PERIODS", "WINDOWS", "Discriminators"]

WINDOWS = (2048, 1024, 512)
"""Window lengths of the STFT discriminators, samples."""

_PERIOD_WIDTHS = (1, 4, 16, 32, 32)
"""Channels of a period discriminator's layers, times the width."""
_EARLIER = (
    (re.compile(r"\.parametrizations\.weight\.original0$"), ".weight_g"),
    (re.compile(r"\.parametrizations\.weight\.original1$"), ".weight_v"),
    (re.compile(r"^(\d+)\.layers\."), r"\1.convs."),
    (re.compile(r"^(\d+)\.out\."), r"\1.conv_post."),
)
"""Names in checkpoints of slmzoo 0.1, and those of today."""


class Discriminators(nn.Module):
    """Multi-period and STFT discriminators; `width` is the number of channels of their first layers."""

    def __init__(self, width: int, periods: Sequence[int] = PERIODS, windows: Sequence[int] = WINDOWS) -> None:
        super().__init__()
        widths = [width * times for times in _PERIOD_WIDTHS]
        by_period = [PeriodDiscriminator(period, widths) for period in periods]
        # The name is that of the state in checkpoints of earlier versions.
        self.judges = nn.ModuleList([*by_period, *(STFTDiscriminator(n, width) for n in windows)])
        self.register_load_state_dict_pre_hook(_rename)

    def forward(self, wav: Tensor) -> list[ScaleOutput]:
        """Return the output of each network for waveforms (B, samples) above half the longest window."""
        return [discriminator(wav) for discriminator in self.judges]


def _rename(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Give the entries of an earlier version's state the names of today, in place."""
    ours = f"{prefix}judges."
    for key in [key for key in state if key.startswith(ours)]:
        name = key.removeprefix(ours)
        for pattern, now in _EARLIER:
            name = pattern.sub(now, name)
        state[ours + name] = state.pop(key)

from __future__ import annotations

import torch

from slmcore.layers.ssl.frontend import Affine
from slmcore.layers.ssl.positions import PositionConv


def test_a_frame_of_the_position_conv_sees_half_a_kernel_to_each_side() -> None:
    torch.manual_seed(0)
    conv = PositionConv(8, 6, 2)
    x = torch.randn(1, 20, 8)
    moved = x.clone()
    moved[:, 10] += 1
    touched = (conv(x) != conv(moved)).any(-1)[0].nonzero()[:, 0].tolist()
    assert touched == list(range(8, 14))
    assert conv(x).shape == x.shape


def test_frames_beyond_the_end_are_zero_to_the_convolution_after_the_norm() -> None:
    torch.manual_seed(0)
    norm = Affine(8)
    torch.nn.init.normal_(norm.bias)
    conv = PositionConv(8, 6, 2, norm)
    x = torch.randn(1, 20, 8)
    padding = torch.arange(20)[None] >= 13
    torch.testing.assert_close(conv(x, padding)[:, :13], conv(x[:, :13]))

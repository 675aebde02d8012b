from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from slmcore.layers.vq import ResidualVQ


def vq(levels: int, size: int = 7, dimension: int = 3) -> ResidualVQ:
    torch.manual_seed(levels)
    return ResidualVQ(levels, size, dimension).double()


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def one_by_one(latent: Tensor, books: list[Tensor]) -> tuple[list[int], Tensor]:
    """Codes of a single vector, and what is left over after the last level."""
    codes = []
    for book in books:
        codes.append(min(range(len(book)), key=lambda i: float((latent - book[i]).norm())))
        latent = latent - book[codes[-1]]
    return codes, latent


@settings(max_examples=25, deadline=None)
@given(levels=st.integers(1, 4), frames=st.integers(1, 6), data=st.data())
def test_each_level_takes_the_nearest_to_what_is_left_over(levels: int, frames: int, data: st.DataObject):
    first = data.draw(st.integers(0, levels - 1))
    last = data.draw(st.integers(first + 1, levels))
    quantizer, latents = vq(levels), noise(2, 3, frames)
    codes = quantizer.encode(latents, first, last)
    assert codes.shape == (last - first, 2, frames)
    decoded = quantizer.decode(codes, first)
    books = [layer.embed for layer in quantizer.layers[first:last]]
    for b in range(2):
        for t in range(frames):
            expected, left = one_by_one(latents[b, :, t], books)
            assert codes[:, b, t].tolist() == expected
            assert torch.allclose(decoded[b, :, t], latents[b, :, t] - left, atol=1e-12)


def test_the_first_among_equals_is_taken():
    quantizer = vq(2)
    quantizer.layers[1].embed[4] = quantizer.layers[1].embed[2]
    residual = noise(1, 3, 50)
    assert 4 not in quantizer.encode(residual, 1, 2)
    assert 2 in quantizer.encode(quantizer.layers[1].embed[None, 4:5].mT, 1, 2)


def test_commitment_and_straight_through_at_every_level():
    quantizer, latents = vq(3), noise(2, 3, 5).requires_grad_()
    out = quantizer(latents, 2)
    assert torch.equal(out.codes, quantizer.encode(latents, 0, 2))
    assert torch.allclose(out.latents, quantizer.decode(out.codes))
    assert torch.allclose(out.residuals[1], latents - quantizer.vectors(out.codes)[0])
    left = [latents - quantizer.decode(out.codes[: n + 1]) for n in range(2)]
    assert torch.allclose(out.commitment, torch.stack([x.square().mean() for x in left]).mean())
    (gradient,) = torch.autograd.grad(out.commitment, latents, retain_graph=True)
    assert torch.allclose(gradient, sum(left) / latents.numel())
    downstream = noise(2, 3, 5) + 1
    (gradient,) = torch.autograd.grad((out.latents * downstream).sum(), latents)
    assert torch.allclose(gradient, downstream)


@pytest.mark.parametrize(("first", "last"), [(0, 4), (2, 2), (3, None), (-1, 2), (2, 1)])
def test_levels_that_are_not_there_are_refused(first, last):
    with pytest.raises(ValueError, match=r"a range within 0\.\.3"):
        vq(3).encode(noise(1, 3, 2), first, last)
    with pytest.raises(ValueError, match="range"):
        vq(3).decode(torch.zeros(2, 1, 4, dtype=torch.int64), 2)


def test_half_precision_keeps_the_codebooks():
    quantizer = ResidualVQ(2, 7, 3)
    embed = quantizer.layers[1].embed.clone()
    assert torch.equal(quantizer.half().layers[1].embed, embed)
    latents = noise(1, 3, 6).half()
    out = quantizer(latents)
    assert out.latents.dtype == torch.float16
    assert torch.equal(out.codes, quantizer.encode(latents.float()))

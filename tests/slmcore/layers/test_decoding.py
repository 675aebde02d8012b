from __future__ import annotations

import torch

from slmcore.layers.decoding import FREE, decode
from slmcore.layers.sampling import Sampler
from slmcore.layers.transformer import Transformer, TransformerConfig


class After:
    """Forces `tokens` one after the other once `after` tokens were sampled, and ends nothing."""

    def __init__(self, rows: int, after: int, tokens: list[int]) -> None:
        self.counts = torch.zeros(rows, dtype=torch.int64)
        self.after, self.tokens = after, torch.tensor([*tokens, FREE])

    def adjust(self, logits: torch.Tensor) -> torch.Tensor:
        return logits

    def advance(self, tokens: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.counts += valid
        place = (self.counts - self.after).clamp(max=len(self.tokens) - 1)
        return torch.where(place >= 0, self.tokens[place.clamp(min=0)], FREE), torch.zeros_like(valid)

    def select(self, rows: torch.Tensor) -> None:
        self.counts = self.counts[rows]


def test_forced_tokens_have_log_probability_zero_and_free_ones_that_of_the_model():
    torch.manual_seed(0)
    sizes = {"dim": 16, "n_layers": 2, "head_dim": 8, "hidden_dim": 24, "n_heads": 2, "n_kv_heads": 1}
    model = Transformer(TransformerConfig(vocab_size=11, **sizes)).double().eval()
    prompts = [torch.tensor([1, 2, 3]), torch.tensor([4])]
    for forced in ([7], [7, 8], [7, 8, 9], [7, 8, 9, 10]):
        made = decode(model, prompts, After(2, 2, forced), Sampler(seed=5), 9)
        for prompt, row in zip(prompts, made, strict=True):
            assert row.tokens[2 : 2 + len(forced)].tolist() == forced
            with torch.no_grad():
                logits = model(torch.cat([prompt, row.tokens])[None])[0, len(prompt) - 1 : -1]
            expected = logits.log_softmax(-1).gather(1, row.tokens[:, None]).squeeze(1)
            expected[2 : 2 + len(forced)] = 0
            torch.testing.assert_close(row.log_probs.double(), expected, atol=1e-5, rtol=1e-5)

from __future__ import annotations

from typing import Any

from mistral_ulm import UnitLM
from slmcore.layers.transformer import TransformerConfig
from slmcore.roles import scores_first, usual_new_units
from tests.toy_system.parts import Bigram
from twist import TwistLM, TwistLMConfig

SIZES: dict[str, Any] = {"dim": 16, "head_dim": 8, "hidden_dim": 24, "vocab_size": 9}


def twist(**changes: Any) -> TwistLM:
    sizes = {**SIZES, "architecture": "llama", "layers": 1, "heads": 2, "kv_heads": 2, "longest": 50}
    return TwistLM(TwistLMConfig(**sizes, num_units=6, offset=3, **changes)).eval()


def mistral() -> UnitLM:
    return UnitLM(TransformerConfig(n_layers=1, n_heads=2, n_kv_heads=2, **SIZES)).eval()


def test_what_a_model_leaves_open_has_a_usual_value():
    bigram = Bigram([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]], None)
    assert [usual_new_units(each) for each in (mistral(), bigram)] == [150, 150]
    assert usual_new_units(twist()) is None
    assert [scores_first(each) for each in (mistral(), bigram, twist(), twist(bos=1))] == [True, True, False, True]

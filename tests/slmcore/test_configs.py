"""Configs come back from the JSON of a checkpoint as they went in, and refuse what is not theirs."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest

from gslm.tacotron.config import TacotronConfig
from slmcore.configs import ModelConfig
from slmcore.errors import CheckpointError
from soundstream.config import SoundStreamConfig
from wavlm_codebooks.config import WavLMConfig
from wavtokenizer.config import WavTokenizerConfig


@dataclass(frozen=True)
class Inner:
    width: int


@dataclass(frozen=True)
class Outer(ModelConfig, describes="an example"):
    inner: Inner
    other: Inner | None = None
    name: str = "a"

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("the name is empty")


@pytest.mark.parametrize("config", [Outer(Inner(3)), Outer(Inner(3), Inner(5), "b")])
def test_a_config_comes_back_from_json_with_the_configs_in_it(config):
    read = Outer.from_dict(json.loads(json.dumps(config.to_dict())))
    assert read == config
    assert isinstance(read.inner, Inner)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"inner": {"width": 1}, "size": 2}, "size"),
        ({"name": "b"}, "inner"),
        ({"inner": {"width": 1}, "name": ""}, "the name is empty"),
        ({"inner": {"depth": 1}}, "depth"),
    ],
)
def test_unknown_missing_and_impossible_fields_are_refused_with_the_model(values, reason):
    with pytest.raises(CheckpointError, match=f"does not describe an example: .*{reason}"):
        Outer.from_dict(values)


@pytest.mark.parametrize("kind", [WavLMConfig, WavTokenizerConfig, SoundStreamConfig, TacotronConfig])
def test_models_share_the_one_way(kind):
    assert issubclass(kind, ModelConfig)
    assert "from_dict" not in vars(kind)
    with pytest.raises(CheckpointError, match=f"does not describe {kind.describes}: .*unheard_of"):
        kind.from_dict({"unheard_of": 1})


def test_two_configs_of_one_class_stay_two():
    first = Outer(Inner(3))
    assert Outer.from_dict(replace(first, name="b").to_dict()) != first

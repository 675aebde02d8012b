"""Published files of GSLM's encoders, with weights by the goldens' recipe, in containers as fairseq pickles them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from tests.reference import goldens


@contextmanager
def foreign(*names: str) -> Iterator[list[type]]:
    """Classes that pickle under full names of packages that are not installed; the packages vanish afterwards."""
    parts = [name.split(".")[:-1] for name in names]
    made = {".".join(each[:end]): ModuleType("fake") for each in parts for end in range(1, len(each) + 1)}
    hidden = {module: sys.modules.get(module) for module in made}
    sys.modules.update(made)
    try:
        yield [_class(made[module], module, cls) for module, _, cls in (name.rpartition(".") for name in names)]
    finally:
        for module, before in hidden.items():
            del sys.modules[module]
            if before is not None:
                sys.modules[module] = before


def _class(module: ModuleType, path: str, name: str) -> type:
    made = type(name, (), {"__module__": path})
    setattr(module, name, made)
    return made


def with_state(cls: type, **state: Any) -> Any:
    """An object of a class, with attributes."""
    made = cls()
    made.__dict__.update(state)
    return made


def hubert_content(name: str, **task: Any) -> dict[str, Any]:
    """The content of fairseq's checkpoint, without the dictionaries of its task."""
    about = goldens.load_json(name)
    config = about["config"]
    cfg = {"model": config["model"], "task": config["task"] | task, "common": {"seed": 1}}
    return {
        "args": None,
        "cfg": cfg,
        "model": goldens.weights(about["state_dict"]),
        "optimizer_history": [{"num_updates": 3}],
        "extra_state": {"epoch": 1},
        "last_optimizer_state": None,
    }


def save_hubert(path: Path, content: dict[str, Any], **options: Any) -> Path:
    """Write a checkpoint with a pickled fairseq Dictionary in it."""
    with foreign("fairseq.data.dictionary.Dictionary") as (dictionary,):
        words = with_state(dictionary, symbols=["<s>", "0", "1"], count=[1, 1, 1], indices={"<s>": 0})
        torch.save({**content, "task_state": {"dictionaries": [words]}}, path, **options)
    return path


def save_with_omegaconf(path: Path, content: dict[str, Any]) -> Path:
    """Write a checkpoint whose cfg is an omegaconf object: containers of typed nodes that know their parents."""
    names = ["omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig", "omegaconf.nodes.AnyNode"]
    names += ["omegaconf.base.ContainerMetadata", "fairseq.tasks.hubert_pretraining.HubertPretrainingConfig"]
    with foreign(*names) as classes:
        torch.save({**content, "cfg": _node(content["cfg"], None, classes)}, path)
    return path


def _node(value: Any, parent: Any, classes: Sequence[type]) -> Any:
    mapping, listing, leaf, metadata, typed = classes
    about = with_state(metadata, ref_type=Any, object_type=typed, optional=True, key_type=str, resolver_cache={})
    if isinstance(value, dict):
        made = with_state(mapping, _metadata=about, _parent=parent)
        made._content = {key: _node(each, made, classes) for key, each in value.items()}
    elif isinstance(value, list):
        made = with_state(listing, _metadata=about, _parent=parent)
        made._content = [_node(each, made, classes) for each in value]
    else:
        made = with_state(leaf, _metadata=about, _parent=parent, _val=value)
    return made


def w2v2_content(name: str) -> dict[str, Any]:
    """The content of fairseq's checkpoint of 2020: a flat Namespace, and weights."""
    about = goldens.load_json(name)
    return {"args": argparse.Namespace(**about["config"]), "model": goldens.weights(about["state_dict"])}


def cpc_content(name: str) -> dict[str, Any]:
    """The content of the published CPC file."""
    about = goldens.load_json(name)
    return {"config": about["config"], "weights": goldens.weights(about["state_dict"])}


def wav_of(given: dict[str, Any]) -> torch.Tensor:
    """The waveform (1, samples) of a golden's input."""
    if "file" in given:
        return goldens.speech()[0]
    return goldens.noise(given["samples"], given["seed"], given.get("offset", 0.0))

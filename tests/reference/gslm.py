"""Published files of GSLM's language model and synthesiser, with weights by the goldens' recipe."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import torch

from tests.reference import goldens

OUTPUT, EMBEDDING = "decoder.output_projection.weight", "decoder.embed_tokens.weight"


def ulm_content(name: str) -> dict[str, Any]:
    """The content of a fairseq checkpoint, as far as it is read."""
    about = goldens.load_json(name)
    state = goldens.weights(about["state_dict"], {"decoder.version": torch.tensor([3.0])})
    return {"args": about["args"], "cfg": None, "model": state | {OUTPUT: state[EMBEDDING]}}


def ulm_folder(folder: Path, name: str, content: dict[str, Any] | None = None) -> Path:
    """A folder with checkpoint_best.pt and dict.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(ulm_content(name) if content is None else content, folder / "checkpoint_best.pt")
    (folder / "dict.txt").write_text(goldens.load_json(name)["dict_txt"], encoding="utf-8")
    return folder


def ulm_archive(path: Path, name: str) -> Path:
    """The published `.tgz`, whose files lie in a folder of their own."""
    folder = ulm_folder(path.with_suffix(""), name)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, "lm_km50")
    return path


def tacotron_content(name: str, shapes: dict[str, list] | None = None, **hparams: Any) -> dict[str, Any]:
    """The content of a published Tacotron 2, whose gate ends nothing unless `gate_threshold` is given.

    `shapes`: those of the golden where they are not given.
    """
    about = goldens.load_json(name)
    exceptions = {
        "*.running_var": lambda made: 1 + made,
        "*.num_batches_tracked": torch.tensor(0),
        "decoder.attention_layer.v.linear_layer.weight": lambda made: 6 * made,
        "decoder.gate_layer.linear_layer.weight": lambda made: 4 * made,
    }
    state = goldens.weights(shapes or about["state_dict"], exceptions)
    return {"hparams": {**about["hparams"], "gate_threshold": 2.0, **hparams}, "model_dict": state}


def tacotron_file(folder: Path, name: str, content: dict[str, Any] | None = None, **hparams: Any) -> Path:
    """A published Tacotron 2 with its code_dict beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(content or tacotron_content(name, **hparams), folder / "tts_checkpoint_best.pt")
    lines = goldens.load_json(name)["code_dict_lines"]
    (folder / "code_dict").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / "tts_checkpoint_best.pt"


def waveglow_content(name: str) -> dict[str, Any]:
    """The content of a published WaveGlow."""
    about = goldens.load_json(name)
    exceptions = {
        "convinv.*.conv.weight": lambda made: torch.eye(len(made))[..., None] + 0.3 * made,
        "WN.*.end.*": lambda made: 0.2 * made,
        "*.weight_g": lambda made: 1 + 0.1 * made,
    }
    return {"hparams": about["hparams"], "model_dict": goldens.weights(about["state_dict"], exceptions)}

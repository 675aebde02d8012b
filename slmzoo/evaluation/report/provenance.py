"""Which recogniser, text model or speaker model it was: what a name alone does not say."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from slmcore.files.digests import sha256_of
from slmzoo.evaluation.optional import need
from slmzoo.evaluation.speech import ctranslate

__all__ = ["outside"]

_WEIGHTS = (".safetensors", ".bin")


def outside(name: str) -> dict[str, str]:
    """The model that `recogniser`, `text_model` or `speaker_model` takes by `name`: the name, and what tells it apart.

    The version of pocketsphinx, the SHA-256 of an n-gram model's text or of each file of weights in a folder, or the
    revision (commit) on transformers' hub.
    """
    if name == "pocketsphinx":
        try:
            return {"name": name, "version": version(name)}
        except PackageNotFoundError:
            return {"name": name}
    if name.startswith("ngram:"):
        return {"name": name, "sha256": sha256_of(Path(name.removeprefix("ngram:")))}
    folder = ctranslate.folder_of(name) if name == ctranslate.NAME else Path(name)
    if folder.is_dir():
        files = sorted(path for path in folder.iterdir() if path.suffix in _WEIGHTS)
        return {"name": name, **{path.name: sha256_of(path) for path in files}}
    config = need("transformers", f"The model {name}").AutoConfig.from_pretrained(name)
    return {"name": name, "revision": getattr(config, "_commit_hash", None) or "unknown"}

"""Reading and writing of model files: published pickles, without running code, and the project's safetensors."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from slmcore.errors import CheckpointError, must
from slmcore.files import atomic, fairseq_pickle, kmeans_pickle
from slmcore.files.content import is_safetensors, unlike_a_checkpoint
from slmcore.units import OperatingPoint

__all__ = [
    "BARE_WEIGHTS",
    "Checkpoint",
    "build",
    "fold_weight_norm",
    "is_state_dict",
    "read",
    "read_plain",
    "renamed",
    "save",
]

FORMAT, VERSION = "slmzoo", "1"
BARE_WEIGHTS = (
    "it holds bare weights, without the sizes of their model. Load them into the model that they came from "
    "(`model.load_state_dict`), and write that: `slmcore.files.checkpoint.save(path, model.checkpoint())`."
)
Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The content of a model file, in the project's terms."""

    kind: str
    """Name of the kind of model, by which `read` refuses a file of another."""
    config: dict[str, Any]
    """Fields of the model's config dataclass."""
    state: dict[str, Tensor]
    """State dict, with the project's key names."""
    tokenizer: dict[str, Any] | None = None
    operating_point: OperatingPoint | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    """Origin of the weights: recipe, data, licence."""


def read(path: str | Path, kind: str | None, published: Callable[[Any], Checkpoint]) -> Checkpoint:
    """Load a model file of `kind` (None: any): the project's safetensors, or a pickle that `published` translates.

    The format is recognised by content; a file named `.safetensors` is never unpickled. Pickles are read with
    `weights_only=True`; one that would run code is refused. Raises FileNotFoundError, or CheckpointError for a file
    that is damaged or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No checkpoint at {path}. Give the path of an existing file.")
    safe = path.suffix.lower() == ".safetensors" or is_safetensors(path)
    found = _read_safetensors(path) if safe else _read_pickle(path, kind, published)
    if kind not in (None, found.kind):
        raise CheckpointError(f"{path.name} holds a model of kind {found.kind!r}, but {kind!r} is needed here.")
    return found


def save(path: str | Path, checkpoint: Checkpoint, dtype: torch.dtype | None = None) -> None:
    """Write `checkpoint` as safetensors; floats become `dtype` if given. The write is atomic.

    Equal checkpoints give files of equal bytes.
    """
    state = {k: _at(v, dtype).detach().cpu().contiguous().clone() for k, v in checkpoint.state.items()}
    with atomic.replacing(path) as part:
        save_file(state, part, _metadata(checkpoint))
        _sort_metadata(part)


def is_state_dict(obj: Any) -> bool:
    """Whether `obj` is a bare state dict: tensors by dotted names."""
    return (
        isinstance(obj, Mapping)
        and len(obj) > 0
        and all(isinstance(v, Tensor) and "." in str(k) for k, v in obj.items())
    )


def build(factory: Callable[[], Model], state: Mapping[str, Tensor]) -> Model:
    """Make the module on the meta device and load `state`, every key of which must match; floats become float32.

    Buffers outside the state dict (tables, windows) must be made by the module when it is first used.
    """
    with torch.device("meta"), _Uninitialised():
        model = factory()
    wanted = {k: v.shape for k, v in model.state_dict().items()}
    wrong = [f"missing {k}" for k in wanted.keys() - state.keys()]
    wrong += [f"unexpected {k}" for k in state.keys() - wanted.keys()]
    wrong += [
        f"{k} is {tuple(state[k].shape)}, not {tuple(shape)}"
        for k, shape in wanted.items()
        if k in state and state[k].shape != shape
    ]
    if wrong:
        more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""
        raise CheckpointError(f"The weights do not fit the model: {'; '.join(sorted(wrong)[:5])}{more}.")
    model.load_state_dict({k: _at(v, torch.float32) for k, v in state.items()}, strict=True, assign=True)
    return model.eval()


class _Uninitialised(TorchFunctionMode):
    """Skip the initialisation of weights on the meta device.

    There is nothing to fill, and torch initialises there through its compiler, whose import takes longer than all the
    rest.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DRAWN:
            return torch.empty(*args, **{name: value for name, value in kwargs.items() if name != "generator"})
        if func in _FILLED or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


_DRAWN = (torch.rand, torch.randn)
_FILLED = (Tensor.normal_, Tensor.uniform_)


def fold_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace each weight-norm pair, under either of torch's names, by its weight g v / ||v||.

    The norm is over the axes that g lacks.
    """
    names = {".parametrizations.weight.original0": ".parametrizations.weight.original1", ".weight_g": ".weight_v"}
    folded = dict(state)
    for key in state:
        for g_name, v_name in names.items():
            if key.endswith(g_name):
                base = key.removesuffix(g_name)
                g, v = folded.pop(key).float(), folded.pop(base + v_name).float()
                axes = [axis for axis in range(v.ndim) if g.shape[axis] == 1]
                folded[base + ".weight"] = g * v / torch.linalg.vector_norm(v, dim=axes, keepdim=True)
    return folded


def renamed(key: str, patterns: Iterable[tuple[str, str]]) -> str:
    """Return the key after all substitutions (pattern, replacement), in their order."""
    for pattern, replacement in patterns:
        key = re.sub(pattern, replacement, key)
    return key


def _at(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    point = checkpoint.operating_point
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": checkpoint.kind,
        "config": json.dumps(checkpoint.config),
        "tokenizer": json.dumps(checkpoint.tokenizer),
        "operating_point": "null" if point is None else point.to_json(),
        "provenance": json.dumps(checkpoint.provenance),
    }


def _sort_metadata(path: Path) -> None:
    """Sort the metadata of a safetensors file, which the library writes in random order."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise RuntimeError(f"safetensors wrote a header of {length} bytes for {len(text)}. Report its version.")
        file.seek(8)
        file.write(text.ljust(length))


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        what = unlike_a_checkpoint(path) or f"is not a readable safetensors file: {error}"
        raise CheckpointError(f"{path.name} {what}") from error
    if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
        raise CheckpointError(f"{path.name} has no slmzoo metadata of version {VERSION}: {BARE_WEIGHTS}")
    try:
        point = metadata["operating_point"]
        return Checkpoint(
            kind=metadata["kind"],
            config=_object(metadata["config"]),
            state=state,
            tokenizer=None if metadata["tokenizer"] == "null" else _object(metadata["tokenizer"]),
            operating_point=None if point == "null" else OperatingPoint.from_json(point),
            provenance=_object(metadata["provenance"]),
        )
    except (KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(f"The metadata of {path.name} is damaged: {error!r}.") from error


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(must("metadata", "a JSON object", text))
    return value


def read_plain(path: Path) -> Any:
    """Return the content of a file of plain tensors, of fairseq's settings, or of a scikit-learn k-means.

    Raises CheckpointError for one that is damaged or holds code.
    """
    try:
        if kmeans_pickle.is_one(path):
            return kmeans_pickle.load(path)
        # Memory mapping keeps a large file out of RAM, but only the zip format of torch >= 1.6 can be mapped.
        return fairseq_pickle.load(path, mmap=zipfile.is_zipfile(path))
    except CheckpointError:
        raise
    except Exception as error:  # on damaged bytes the unpickler fails in ways that have no type in common
        raise CheckpointError(f"{path.name} {_why_not(path, error)}") from error


def _read_pickle(path: Path, kind: str | None, published: Callable[[Any], Checkpoint]) -> Checkpoint:
    loaded = read_plain(path)
    try:
        return published(loaded)
    except CheckpointError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        what = BARE_WEIGHTS if is_state_dict(loaded) else repr(error)
        raise CheckpointError(f"{path.name} is not a published checkpoint of kind {kind or 'any'!r}: {what}") from error


def _why_not(path: Path, error: Exception) -> str:
    """Explain why torch does not load a file, without torch's own advice, which is to run its code."""
    if what := unlike_a_checkpoint(path):
        return what
    if not isinstance(error, pickle.UnpicklingError):
        return f"is damaged or no torch checkpoint: {error!r}"
    code = fairseq_pickle.named_code(error)
    reason = f"it holds {code}, which is code" if code else "it is damaged, or another kind of pickle"
    return f"is not a checkpoint of plain tensors and was refused without running it: {reason}."

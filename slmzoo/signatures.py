"""Keywords of all loaders, explicit in their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from slmcore.files.registry import Registries

__all__ = [
    "LoaderOptions",
    "PhonemeOptions",
    "PipelineOptions",
    "RoleOptions",
    "SourceOptions",
    "TacotronOptions",
    "USLMOptions",
    "VocoderOptions",
    "written_out",
]

Function = TypeVar("Function", bound=Callable[..., Any])


class SourceOptions(TypedDict, total=False):
    """Keywords of a zoo and its files."""

    zoo: str
    map_location: str | torch.device
    progress: bool
    registry: Registries


class LoaderOptions(SourceOptions, total=False):
    """Keywords of a zoo, or of a file instead."""

    checkpoint: str | Path | None


class PhonemeOptions(LoaderOptions, total=False):
    """Keywords of a phoneme language model, with the file of its phonemes."""

    tokenizer: str | Path | None


class TacotronOptions(LoaderOptions, total=False):
    """Keywords of a Tacotron 2, with the table of its input ids."""

    code_dict: str | Path | None


class VocoderOptions(LoaderOptions, total=False):
    """Keywords of a unit vocoder, with its config.json."""

    config: str | Path | None


class USLMOptions(LoaderOptions, total=False):
    """A USLM with its table of phones and its codec."""

    symbols: str | Path | None
    codec_checkpoint: str | Path | None


class RoleOptions(LoaderOptions, total=False):
    """Keywords of a model of a role at an operating point."""

    variant: str | None
    k: int | None
    lmbda: float | None
    layer: int | None
    num_neighbors: int | None


class PipelineOptions(SourceOptions, total=False):
    """Keywords of a pipeline's parts, and their precision."""

    variant: str | None
    with_ulm: bool
    with_speech: bool
    synthesizer: str | None
    dtype: torch.dtype | None
    weights: Literal["int8", "int8-weight-only"] | None


_DEFAULTS = {"zoo": "dp-slm", "map_location": "cpu", "progress": True, "with_ulm": True, "with_speech": True}
"""Defaults other than None."""


def written_out(options: type, **defaults: Any) -> Callable[[Function], Function]:
    """Expand `**options` in a function's signature to the keywords of the TypedDict `options`.

    `help`, `inspect.signature` and notebooks then list them, with this function's own `defaults`; the function still
    refuses unknown ones itself.
    """

    def shown(function: Function) -> Function:
        signature = inspect.signature(function)
        kept = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        more = [_parameter(name, hint, _DEFAULTS | defaults) for name, hint in options.__annotations__.items()]
        setattr(function, "__signature__", signature.replace(parameters=[*kept, *more]))  # noqa: B010
        return function

    return shown


def _parameter(name: str, hint: Any, defaults: Mapping[str, Any]) -> inspect.Parameter:
    hint = getattr(hint, "__forward_arg__", hint)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=hint)

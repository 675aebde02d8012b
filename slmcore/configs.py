"""Configs of models as dictionaries, for the metadata of checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

from slmcore.errors import CheckpointError

__all__ = ["ModelConfig"]

Config = TypeVar("Config", bound="ModelConfig")


class ModelConfig:
    """Base of the frozen dataclasses of models' sizes, with `describes` naming the model in errors.

    Example: `@dataclass(frozen=True) class CodecConfig(ModelConfig, describes="a codec")`
    """

    describes: ClassVar[str] = "this model"

    def __init_subclass__(cls, describes: str | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if describes is not None:
            cls.describes = describes

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, nested configs as dictionaries, ready for JSON."""
        return asdict(self)  # pyright: ignore[reportArgumentType]  # subclasses are dataclasses

    @classmethod
    def from_dict(cls: type[Config], values: Mapping[str, Any]) -> Config:
        """Return the config of `to_dict`'s result. Raises CheckpointError for missing, unknown or impossible fields."""
        try:
            return cls(**{name: _nested(kind, values[name]) for name, kind in _kinds(cls, values).items()})
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"The checkpoint's config does not describe {cls.describes}: {error}") from error


def _kinds(config: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Type of each of the values; None for an unknown name, which the constructor refuses."""
    known = get_type_hints(config)
    names = {field.name for field in fields(config)}
    return {name: known[name] if name in names else None for name in values}


def _nested(kind: Any, value: Any) -> Any:
    """Return a dictionary as the config class of its field; other values unchanged."""
    configs = [each for each in (kind, *get_args(kind)) if isinstance(each, type) and is_dataclass(each)]
    return configs[0](**value) if configs and isinstance(value, Mapping) else value

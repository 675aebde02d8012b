"""System: the parts of a pipeline and their loaders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slmcore.roles import Codec, Encoder, Quantizer, Synthesizer, TextToSpeech, UnitLanguageModel
from slmzoo.kinds import Kind
from slmzoo.sources import Choice, Source

__all__ = ["System"]


@dataclass(frozen=True, kw_only=True)
class System:
    """Loaders of the parts of a pipeline, each of a source and a choice; None for parts that do not exist.

    A system has an encoder and a quantiser, or a codec, or all three.
    """

    name: str
    """Name that a zoo gives as its `system`."""
    choice: Callable[[Source, Choice, bool], Choice] = lambda where, wanted, downstream: wanted
    """Completes a choice; the flag says whether a language model or synthesiser must exist for it."""
    encoder: Callable[[Source, Choice], Encoder] | None = None
    quantizer: Callable[[Source, Choice], Quantizer] | None = None
    language_model: Callable[[Source, Choice], UnitLanguageModel] | None = None
    synthesizer: Callable[[Source, Choice], Synthesizer] | None = None
    codec: Callable[[Source, Choice], Codec] | None = None
    text_to_speech: Callable[[Source, Choice], TextToSpeech] | None = None
    """Is no part of a pipeline: it is loaded alone, and brings its codec along."""
    composed: Callable[..., Synthesizer] | None = None
    """Composes the synthesiser of a saved pipeline from its `models`."""
    parts: tuple[str, ...] | Callable[[Source, Choice], tuple[str, ...]]
    """Kinds of its pipeline's models, or a function of the choice that returns them."""
    kinds: tuple[Kind, ...] = ()
    """Kinds of model of a system outside the package; those of the built-in systems are in `slmzoo.kinds`."""

    def parts_of(self, where: Source, wanted: Choice) -> tuple[str, ...]:
        """Return the kinds of the models of a complete choice's pipeline."""
        return self.parts(where, wanted) if callable(self.parts) else self.parts

    def loader(self, role: str) -> Any:
        """Return the loader of a role such as "synthesizer", or None."""
        return getattr(self, role)

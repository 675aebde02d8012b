"""Options and settings renamed since version 0.1; the former names are accepted for one version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["RENAMED", "current_names"]

RENAMED: Mapping[str, str] = {
    "aligned": "aligned_sentences",
    "alone": "drop_prompt",
    "half": "save_half",
    "judge_from": "discriminator_from",
    "judge_width": "discriminator_width",
    "matching": "feature_matching",
    "own": "scheduled_sampling",
    "share": "frame_fraction",
    "taught_until": "encoder_only_until",
    "track": "logger",
    "unmasked": "unmasked_weight",
    "voice_directions": "speaker_directions",
}
"""Former name of an option to its name."""


def current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a run folder keeps, by the names that the options have now."""
    return {RENAMED.get(name, name): value for name, value in settings.items()}

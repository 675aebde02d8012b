"""Options and settings renamed since version 0.1; former names are accepted for one version."""

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
"""Present name of an option by its former one."""


def current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings kept in a run folder, under the present names of the options."""
    return {RENAMED.get(name, name): value for name, value in settings.items()}

"""Discriminators for adversarial training, and their losses.

Every discriminator maps waveforms (B, samples) to a list of `ScaleOutput`, one for each of its networks; the losses
take such lists, of one discriminator or of several one after another.
"""

from slmcore.layers.discriminators.ensemble import PERIODS, WINDOWS, Discriminators
from slmcore.layers.discriminators.losses import discriminator_loss, feature_matching_loss, generator_loss
from slmcore.layers.discriminators.multi_frequency import MultiFrequencyDiscriminator
from slmcore.layers.discriminators.multi_period import MultiPeriodDiscriminator
from slmcore.layers.discriminators.multi_scale import MultiScaleDiscriminator
from slmcore.layers.discriminators.multi_scale_stft import MultiScaleSTFTDiscriminator
from slmcore.layers.discriminators.outputs import Discriminator, ScaleOutput

__all__ = [
    "PERIODS",
    "WINDOWS",
    "Discriminator",
    "Discriminators",
    "MultiFrequencyDiscriminator",
    "MultiPeriodDiscriminator",
    "MultiScaleDiscriminator",
    "MultiScaleSTFTDiscriminator",
    "ScaleOutput",
    "discriminator_loss",
    "feature_matching_loss",
    "generator_loss",
]

"""Options of `slmzoo train`: those of the training itself, and where its result goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from slmzoo.commands.options.common import ResultsOptions
from slmzoo.training.options.codebook import CodebookOptions
from slmzoo.training.options.codec import CodecOptions
from slmzoo.training.options.encoder import EncoderOptions
from slmzoo.training.options.soundstream import SoundStreamOptions
from slmzoo.training.options.speechtokenizer import SpeechTokenizerOptions
from slmzoo.training.options.units import EllavOptions, UlmOptions
from slmzoo.training.options.uslm import UslmOptions
from slmzoo.training.options.vocoder import VocoderOptions

__all__ = [
    "TrainCodebookOptions",
    "TrainCodecOptions",
    "TrainEllavOptions",
    "TrainEncoderOptions",
    "TrainSoundStreamOptions",
    "TrainSpeechTokenizerOptions",
    "TrainUlmOptions",
    "TrainUslmOptions",
    "TrainVocoderOptions",
]


@dataclass(frozen=True, kw_only=True)
class TrainEncoderOptions(EncoderOptions, ResultsOptions):
    """Train a speech encoder to predict the cluster of each frame behind masks. Sizes and schedule are the project's
    own: an encoder of a million parameters that learns in an hour on a CPU.

    The targets are clusters of mel cepstra, with --teacher and --teacher-layer of the features of an encoder of an
    earlier run, or any that --targets holds.

    The JSON line holds: zoo, kind, encoder, and of held-out recordings step, masked, unmasked, hit.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo train encoder --audio speech/train --run runs/encoder --held-out 20",
        "slmzoo train encoder --audio speech/train --run runs/encoder --resume",
    )


@dataclass(frozen=True, kw_only=True)
class TrainCodebookOptions(CodebookOptions, ResultsOptions):
    """Cluster the features of an encoder by k-means, for one k or several at once.

    A random share of the frames of each file is kept in RUN/frames. Each k gets a file and a row. With --lmbda or
    --rate the file also holds the lambda of its units. The encoder gets a row of the zoo too.

    A JSON line for each k holds: zoo, encoder, layer, k, lmbda, num_neighbors.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo train codebook --audio speech/train --run runs/codebook --k 200 --rate 20",
    )


@dataclass(frozen=True, kw_only=True)
class TrainUlmOptions(UlmOptions, ResultsOptions):
    """Train a unit language model. The defaults are those of the published models (arXiv 2505.23494).

    The JSON line holds: zoo, kind, k, lmbda, step (of the best weights), loss (nats per unit, held out), bits_per_unit
    and, for framewise units, bits_per_second.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo train ulm --train units/train --validation units/dev --run runs/ulm",
        "slmzoo train ulm --train units/train --validation units/dev --run runs/ulm --resume",
    )


@dataclass(frozen=True, kw_only=True)
class TrainCodecOptions(CodecOptions, ResultsOptions):
    """Train a speech codec with one stream of codes. The sizes are those of the published WavTokenizer of 40 Hz; no
    recipe of it is published, and the other defaults are this project's own.

    RUN/samples gets held-out recordings and their reconstructions, as sound and as pictures, with each validation.

    The JSON line holds: zoo, kind, step, and of the held-out recordings mel and stft.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo train codec --audio speech/train --validation speech/dev --run runs/codec",
    )


@dataclass(frozen=True, kw_only=True)
class TrainEllavOptions(EllavOptions, ResultsOptions):
    """Train an acoustic model, from units to codec tokens. The defaults are those of the published models.

    The JSON line holds: zoo, kind, k, lmbda, step (of the best weights), loss (nats per target, held out).
    """

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo train ellav --train units/train --validation units/dev --train-speech speech/train "
        "--validation-speech speech/dev --codec dp-slm --run runs/ellav",
    )


@dataclass(frozen=True, kw_only=True)
class TrainVocoderOptions(VocoderOptions, ResultsOptions):
    """Train a unit HiFi-GAN, from units straight to speech, at any operating point. Sizes, losses and schedule are
    those of the published vocoders (arXiv 2104.00355).

    RUN/samples gets held-out recordings and their resynthesis, as sound and as pictures, with each validation.

    The JSON line holds: zoo, kind, k, lmbda, step, and of the held-out recordings mel and, with a duration predictor,
    frames_off (mean error of a unit's duration).
    """

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo train vocoder --train units/train --validation units/dev --train-speech speech/train "
        "--validation-speech speech/dev --run runs/vocoder",
        "slmzoo train vocoder --train units/train --validation units/dev --train-speech speech/train "
        "--validation-speech speech/dev --run runs/voices --speakers --variant voices",
    )


@dataclass(frozen=True, kw_only=True)
class TrainUslmOptions(UslmOptions, ResultsOptions):
    """Train a USLM, text to speech in the voice of a prompt, over the codes of a codec of the zoo.

    The sizes are those of the published model (arXiv 2308.16692); the settings of its training are not public, and the
    defaults are those of VALL-E (arXiv 2301.02111), whose design it is.

    The JSON line holds: zoo, kind, step (of the best weights), loss, and of the held-out utterances ar and nar (nats
    per code).
    """

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo train uslm --train train.tsv --validation dev.tsv --run runs/uslm",
        "slmzoo train uslm --train train.tsv --validation dev.tsv --run runs/uslm --resume",
    )


@dataclass(frozen=True, kw_only=True)
class TrainSoundStreamOptions(SoundStreamOptions, ResultsOptions):
    """Train a codec with residual codebooks at a choice of bit rates; with --causal it streams. Sizes and losses are
    those of odunola499/soundstream-codec-lightning, whose faults are mended (docs/soundstream.md).

    --audio and --validation take folders, tars and manifests, or a dataset of the Hugging Face hub that is streamed.
    RUN/samples gets held-out recordings and their reconstructions, as sound and as pictures, with each validation.

    The JSON line holds: zoo, kind, step, and of the held-out recordings mel and stft from all levels, and mel_level_1
    and stft_level_1.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo train soundstream --audio speech/train --validation speech/dev --run runs/soundstream",
        "slmzoo train soundstream --audio huggingface:gpt-omni/VoiceAssistant-400K:train --column question_audio "
        "--validation speech/dev --causal --teacher dp-slm --run runs/soundstream",
    )


@dataclass(frozen=True, kw_only=True)
class TrainSpeechTokenizerOptions(SpeechTokenizerOptions, ResultsOptions):
    """Train a codec with residual codebooks, the first of which is distilled from a speech encoder. Sizes and losses
    are the published ones (arXiv 2308.16692) and ten epochs of LibriSpeech; faults of the published trainer are mended
    (docs/speechtokenizer.md).

    The published teacher is the mean of HuBERT's layers: --teacher gslm --teacher-variant hubert --teacher-layer mean.
    RUN/samples gets held-out recordings and their reconstructions, as sound and as pictures, with each validation.

    The JSON line holds: zoo, kind, step, and of the held-out recordings mel and stft from all levels, and mel_level_1
    and stft_level_1.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo train speechtokenizer --audio speech/train --validation speech/dev --teacher demo --run runs/codec",
        "slmzoo train speechtokenizer --audio speech/train --validation speech/dev --run runs/codec --resume "
        "--teacher gslm --teacher-variant hubert --teacher-layer mean",
    )

"""Entry points of the residual codecs SpeechTokenizer and SoundStream, and of USLM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slmzoo.signatures import LoaderOptions, USLMOptions, written_out

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from slmzoo.text_to_speech import USLMSpeech
    from soundstream import SoundStream
    from speechtokenizer import SpeechTokenizer

__all__ = ["soundstream", "speechtokenizer", "uslm"]


@written_out(LoaderOptions, zoo="speechtokenizer")
def speechtokenizer(variant: str | None = None, **options: Unpack[LoaderOptions]) -> SpeechTokenizer:
    """SpeechTokenizer at 50 frames of 8 codes per second (16 kHz, 1024 codes each; Zhang et al. 2023, 2308.16692).

    `variant` is "hubert_avg" (default, LibriSpeech) or "snake" (LibriSpeech and Common Voice). Level 1 holds the
    content, the others the voice. `model.encode(x)` takes waveforms (B, 1, samples) at 16 kHz and gives codes
    (8, B, frames), `model.decode(codes)` waveforms (B, 1, frames * 320); `model.encode_wav(wav, sr)` takes any rate and
    gives `Codes`, which `model.decode_codes` turns into a waveform (1, samples); `model.convert(content, voice)`
    exchanges levels.
    A config.json beside a published `checkpoint=` is read, and must be whole.
    Options: zoo, checkpoint, map_location, progress, registry.

    Example: `torch.hub.load("slmzoo/slmzoo", "speechtokenizer").encode_wav(wav, sr).codes[0]`
    """
    from slmzoo.systems import speechtokenizer as system

    return system.codec(variant, **{"zoo": "speechtokenizer", **options})


@written_out(USLMOptions, zoo="speechtokenizer")
def uslm(variant: str | None = None, **options: Unpack[USLMOptions]) -> USLMSpeech:
    """USLM, zero-shot text to speech over SpeechTokenizer's codes (Zhang et al. 2023, arXiv 2308.16692).

    Returns `tts`: `tts.say("Text to speak.", wav, sr, prompt_text="what the prompt says", seed=0)` gives a list with a
    `Speech` in the voice of wav (1, samples), a prompt of about 3 s; `tts.uslm.generate` takes ids of phones and
    `Codes`. Phones are made by espeak-ng: `pip install 'slmzoo[phonemes]'`. `variant` names the codec, "hubert_avg".
    With `checkpoint=` also give `symbols=`, the published table of its phones, unless it lies beside the checkpoint;
    `codec_checkpoint=` is a file in place of the zoo's codec.
    Options: zoo, checkpoint, symbols, codec_checkpoint, map_location, progress, registry.

    Example: `torch.hub.load("slmzoo/slmzoo", "uslm").say("Good morning.", wav, sr)[0].wav`
    """
    from slmzoo.systems import speechtokenizer as system

    return system.uslm(variant, **{"zoo": "speechtokenizer", **options})


@written_out(LoaderOptions, zoo="soundstream")
def soundstream(variant: str | None = None, **options: Unpack[LoaderOptions]) -> SoundStream:
    """SoundStream, of your own training or of published weights in the same key scheme (arXiv 2107.03312).

    No weights are published: give `checkpoint=`, or `zoo=` and `registry=` of a zoo of your own. `model.encode(wav, sr,
    bandwidth)` takes waveforms (B, samples) and gives codes (B, levels, frames), as many levels as fit into `bandwidth`
    kb/s; `model.decode(codes)` gives waveforms (B, samples); `model.encode_wav` and `model.decode_codes` do so for one
    utterance with `Codes`; `model.encode_latents` and `model.decode_latents` leave the quantiser out.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import soundstream as system

    return system.codec(variant, **{"zoo": "soundstream", **options})

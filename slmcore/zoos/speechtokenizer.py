"""The published files of SpeechTokenizer and USLM (arXiv 2308.16692), by its authors' repositories on Hugging Face.

Their digests are not published. One is claimed by a third party's script; it is reported, not enforced.
"""

from __future__ import annotations

from typing import Any

from slmcore.files.rows import Row

__all__ = ["published_rows"]

_FILES = "https://huggingface.co/fnlp"
_HUBERT_AVG = _FILES + "/SpeechTokenizer/resolve/main/speechtokenizer_hubert_avg/SpeechTokenizer.pt"
_SNAKE = _FILES + "/AnyGPT-speech-modules/resolve/main/speechtokenizer/ckpt.dev"
_USLM = _FILES + "/USLM/resolve/main/USLM_libritts/"
_CLAIMED = "d04593b6c9a4b475f91ca481141a6ef5b23e6ac112f347dd2b2717f193c1c728"


def published_rows() -> tuple[Row, ...]:
    """Return the rows of the zoo "speechtokenizer"; the first variant is the default."""
    zoo: dict[str, Any] = {"zoo": "speechtokenizer", "system": "speechtokenizer"}
    shared = {**zoo, "kind": "speechtokenizer", "sample_rate": 16000, "frame_rate": 50.0}
    uslm = {**zoo, "variant": "hubert_avg", "origin": "USLM, of the same paper, trained on LibriTTS, from fnlp/USLM"}
    origin = "SpeechTokenizer, Zhang et al. (arXiv 2308.16692), trained on {data}"
    librispeech = origin.format(data="LibriSpeech, from fnlp/SpeechTokenizer")
    both = origin.format(data="LibriSpeech and Common Voice, from fnlp/AnyGPT-speech-modules")
    return (
        Row(variant="hubert_avg", url=_HUBERT_AVG, size=480_000_000, claimed=_CLAIMED, origin=librispeech, **shared),
        Row(variant="snake", url=_SNAKE, origin=both, **shared),
        # The variant is that of the codec whose codes it writes.
        Row(kind="uslm", url=_USLM + "USLM.pt", sample_rate=16000, frame_rate=50.0, **uslm),
        Row(kind="uslm_symbols", url=_USLM + "unique_text_tokens.k2symbols", **uslm),
    )

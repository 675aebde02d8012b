"""Zoo of spoken language models: speech to discrete units, language models over them, and units to speech."""

__version__ = "0.1.0"
__all__ = ["__version__"]

"""The spoken-language-model zoo: speech to discrete units, a language model over them, and speech again."""

__version__ = "0.1.0"
__all__ = ["__version__"]

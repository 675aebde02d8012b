"""Unit language models in common: scoring, generation, and the ends of sequences."""

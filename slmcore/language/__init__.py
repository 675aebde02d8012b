"""Scoring, generation and end of sequence, shared by unit language models."""

"""Layers shared by WavLM, HuBERT and wav2vec 2.0: frontend, positional convolution, transformer blocks."""

"""The bricks that WavLM, HuBERT and wav2vec 2.0 share: frontend, positional convolution, transformer block."""

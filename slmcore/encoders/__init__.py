"""Convolutional-transformer speech encoders: waveforms, batches, windows, and fairseq's files."""

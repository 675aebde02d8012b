"""Bricks that more than one system is built from: the decoder-only transformer, its cache, sampling and decoding."""

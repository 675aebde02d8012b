"""Layers shared by several systems: the decoder-only transformer, its cache, sampling, decoding, and codecs' layers."""

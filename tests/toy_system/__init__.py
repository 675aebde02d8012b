"""A complete system that shares no class with the package: band energies, bigrams, tones and a codec of samples."""

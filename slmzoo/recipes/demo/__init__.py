"""The packaged demo set: its corpus, its training and its measurements."""

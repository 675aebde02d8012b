"""The demo: its corpus, its training and its measurements."""

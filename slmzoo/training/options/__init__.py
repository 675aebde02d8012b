"""The options of `slmzoo train`, as dataclasses that import nothing heavy: help and wrong usage are told at once."""

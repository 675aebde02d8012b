"""The options of every command, as dataclasses that import nothing heavy: help and wrong usage are told at once."""

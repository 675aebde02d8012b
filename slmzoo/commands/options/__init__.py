"""Options of every command, as dataclasses that import nothing heavy, so that help and usage errors are fast."""

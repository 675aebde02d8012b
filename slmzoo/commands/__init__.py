"""The commands of `slmzoo`: one frozen dataclass each, whose fields are its options and whose `run` is its work."""

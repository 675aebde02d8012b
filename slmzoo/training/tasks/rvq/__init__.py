"""Training of codecs with residual codebooks: the task, its data, and the parts of its loss."""

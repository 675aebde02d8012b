"""Training tasks, one file a model, with their own bricks."""

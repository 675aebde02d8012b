"""Training tasks, one file per model, with their own modules."""

"""Training: loop, data, tasks and options."""

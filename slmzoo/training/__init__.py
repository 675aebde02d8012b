"""Losses, batches and the loop of training, one module a model."""

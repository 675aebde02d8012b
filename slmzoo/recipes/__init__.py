"""Scripts with their numbers: how the weights that are shipped were made."""

"""A small benchmark made of synthetic speech on the spot."""

"""Training data: recordings, units, features, aligned codes, augmentation."""

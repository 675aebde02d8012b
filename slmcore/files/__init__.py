"""Files of models: rows, registries, download, verification, checkpoints, atomic writing."""

"""Foundation of the systems of the zoo: audio, units, checkpoints, downloads, and layers in `slmcore.layers`."""

"""What the systems of the zoo share: audio, units, checkpoints, downloads, and the bricks in `slmcore.layers`."""

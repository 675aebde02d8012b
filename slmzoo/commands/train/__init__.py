"""Commands of `slmzoo train`, one file each."""

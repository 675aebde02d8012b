"""The built-in zoos, one file each."""

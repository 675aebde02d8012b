"""The next demo: natural voices, and an encoder for real speech."""

"""The next demo: natural voices, and an encoder that hears people."""

"""Commands on the installation: what it can do here, and shell completion."""

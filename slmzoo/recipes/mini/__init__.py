"""Small benchmark of synthetic speech, generated locally."""

"""A page for one's own machine: speak, see units, hear them again, go on, and compare systems."""

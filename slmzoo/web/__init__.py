"""A local page: record speech, see its units, resynthesise, continue, and compare systems."""

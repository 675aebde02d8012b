"""Commands on speech: score, resynthesise, continue."""

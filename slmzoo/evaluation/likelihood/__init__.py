"""Likelihood benchmarks: sWUGGY, sBLIMP, StoryCloze, SALMon, pairs of your own."""

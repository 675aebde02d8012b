"""Results, confidence intervals, comparisons and figures."""

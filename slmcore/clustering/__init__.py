"""k-means, codebooks and dynamic time warping."""

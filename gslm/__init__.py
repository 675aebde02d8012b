"""GSLM, generative spoken language modelling from raw audio (Lakhotia et al. 2021, arXiv 2102.01192)."""

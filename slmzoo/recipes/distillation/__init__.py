"""Experiment: whether a codec needs distillation when a diffusion model is to live on its latents."""

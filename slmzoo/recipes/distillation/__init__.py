"""Experiment: whether a codec needs distillation for diffusion on its latents."""

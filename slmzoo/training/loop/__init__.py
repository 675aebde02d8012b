"""The training loop: task, module, run, fit, settings, curves."""

"""Entry points for torch.hub, one file a system; `hubconf.py` exports all of them."""

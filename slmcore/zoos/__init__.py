"""The built-in zoos of published models, one file each, with a function `published_rows`."""

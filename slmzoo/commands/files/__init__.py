"""Commands on the files of models: list, fetch, verify, convert."""

"""Sentences, words and synthetic voices for the recipes."""

"""Sentences, synthetic voices and recordings of people for the recipes."""

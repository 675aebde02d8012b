"""Recipes of the shipped weights, with their scores."""

"""Whole corpora to units: what to encode, in which shards, on one machine or a cluster, and how it resumes."""

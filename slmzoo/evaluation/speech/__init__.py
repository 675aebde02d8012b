"""Metrics of speech: recognition, intelligibility, pitch, speakers, generation."""

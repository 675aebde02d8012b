"""Metrics of units: ABX, bit rate, phones, text information, sweeps."""

"""Scalar formulas, noise, seeds, and update rules."""

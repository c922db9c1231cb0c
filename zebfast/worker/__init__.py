"""Producers of training examples: self-play with the newest weights, until told to stop."""

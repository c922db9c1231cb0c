"""Producers of training examples: games with the newest weights, until told to stop."""

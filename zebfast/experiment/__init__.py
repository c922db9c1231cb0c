"""Experiments: what belongs to one, how it stands, what its runs have come to, and going back."""

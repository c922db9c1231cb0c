"""Training: examples in, weights out. ``loop`` is the place to start reading."""

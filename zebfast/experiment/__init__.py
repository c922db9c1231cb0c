"""Experiments: a worker and a learner over one namespace, and what they have done so far."""

"""Copies of a run's state elsewhere: on the Hub, S3 or any fsspec address."""

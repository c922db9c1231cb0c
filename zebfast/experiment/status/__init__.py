"""The status of an experiment: what runs, and what is wrong."""

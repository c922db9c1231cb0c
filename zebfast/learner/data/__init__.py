"""Examples on their way to a batch: read, kept, mixed."""

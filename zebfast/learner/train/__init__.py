"""Training steps: losses, optimizer, trainer."""

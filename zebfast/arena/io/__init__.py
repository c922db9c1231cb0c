"""Files of the arena: recorded games, positions, and their checks."""

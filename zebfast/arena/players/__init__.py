"""Players: what chooses a play, and how a player is named."""

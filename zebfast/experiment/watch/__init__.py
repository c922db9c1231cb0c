"""Watching a run: its progress judged, told, and what died restarted."""

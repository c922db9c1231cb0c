"""What any long-running program needs of the machine: whole files, locks, stop signals; no game."""

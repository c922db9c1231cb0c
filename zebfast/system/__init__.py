"""What any long-running program needs of the machine: whole files, stop signals; no game."""

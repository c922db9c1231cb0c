"""The compiled core as Python sees it: thin Cython over csrc/, NumPy in and out, no torch."""

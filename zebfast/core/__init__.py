"""The compiled core as Python sees it: thin Cython over csrc/, NumPy arrays in and out, no torch."""

"""Players that users write as Python functions, which Numba compiles: see docs/policies.md."""

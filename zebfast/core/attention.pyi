"""Types of attention.pyx; what everything does is said there, where help() shows it."""

import numpy as np

MAX_TOKENS: int

def fits(width: int) -> bool: ...
def attention(qkv: np.ndarray, lengths: np.ndarray, out: np.ndarray, *, n_heads: int) -> None: ...

"""A small network of the core with random weights, asked by loops in C or from outside."""

from __future__ import annotations

import numpy as np

from zebfast.core.network import Network

WIDTH, N_BLOCKS = 32, 1


def small_network(*, seed: int = 1, scale: float = 1.0) -> Network:
    """Weights drawn anew for a seed; `scale` is that of the first layer."""
    rng = np.random.default_rng(seed)
    shapes = {"first.weight": (WIDTH, 856), "policy_proj.weight": (28, WIDTH)}
    shapes |= {"value_head.weight": (43, WIDTH), "belief_proj.weight": (84, WIDTH)}
    shapes |= {f"blocks.0.{part}.weight": (WIDTH, WIDTH) for part in ("up", "down")}
    tensors = {
        name: rng.normal(0.0, 2.0 / shape[1] ** 0.5, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    tensors["first.weight"] *= np.float32(scale)
    for name, shape in shapes.items():
        bias = rng.normal(0.0, 0.5, shape[:1]).astype(np.float32)
        tensors[name.replace("weight", "bias")] = bias
    for norm in ("norm", "blocks.0.norm"):
        tensors[f"{norm}.weight"] = np.ones(WIDTH, np.float32)
        tensors[f"{norm}.bias"] = np.zeros(WIDTH, np.float32)
    return Network(WIDTH, N_BLOCKS, True, tensors)


class OutsideEvaluator:
    """Asks the network a batch at a time. rows: observations it was given so far."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.version = 1
        self.rows = 0

    def evaluate(self, obs: np.ndarray, evals: np.ndarray) -> None:
        """See zebfast.selfplay.groups.BatchEvaluator."""
        self.rows += len(obs)
        self.network.evaluate(obs, evals)
        if not np.isfinite(evals).all():
            raise FloatingPointError("told from outside")


class CoreEvaluator(OutsideEvaluator):
    """The same for those who can ask the network themselves."""

    @property
    def core(self) -> Network:
        """The network."""
        return self.network

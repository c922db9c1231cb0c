"""MaskablePPO of sb3-contrib learns seat 0 of a hand of Texas 42 against random players.

    pip install 'zebfast[gymnasium]' sb3-contrib
    python examples/environments/maskable_ppo.py --steps 75000

The environments sit in one process; a mask goes with every observation, so that no play is ever
illegal. Prints the mean reward a hand (points of the own side minus those of the other) before and
after. The partner plays at random, too, so that little of the way to a good player is open here.
"""

from __future__ import annotations

import argparse

import gymnasium
import numpy as np
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv

import zebfast.environments.gymnasium  # noqa: F401  (registers the environment)


def hands(seed: int) -> gymnasium.Env:
    """One environment, its deals numbered from 0 of the seed; observations as floats of 0 to 1."""
    env = gymnasium.make("zebfast/Texas42Hand-v0", players="random", disable_env_checker=True)
    scale = np.ones(340, np.float32)
    scale[280:308] /= 28  # numbers of plays
    scale[338:340] /= 42  # points
    space = gymnasium.spaces.Box(0, 1, (340,), np.float32)
    env = gymnasium.wrappers.TransformObservation(env, lambda seen: seen * scale, space)
    env.reset(seed=seed)
    return env


def main(argv: list[str] | None = None) -> None:
    """Train, and print how it does before and after."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=75_000, help="decisions (default: 75000)")
    parser.add_argument("--hands", type=int, default=2000, help="of each look (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, help="(default: 1)")
    args = parser.parse_args(argv)
    training = DummyVecEnv([lambda i=i: hands(args.seed + i) for i in range(16)])
    judging = DummyVecEnv([lambda i=i: hands(args.seed + 1000 + i) for i in range(16)])
    model = MaskablePPO(
        "MlpPolicy", training, n_steps=256, batch_size=1024, n_epochs=4, learning_rate=1e-3,
        gamma=1.0, seed=args.seed, policy_kwargs={"net_arch": [256, 256]}, device="cpu",
    )  # fmt: skip
    found = []
    for steps in (0, args.steps):
        if steps:
            model.learn(steps)
        mean, deviation = evaluate_policy(model, judging, args.hands, warn=False)
        found.append(f"{mean:+.2f} ± {1.96 * deviation / args.hands**0.5:.2f}")
    print(f"points a hand: {found[0]} before, {found[1]} after {args.steps} decisions")


if __name__ == "__main__":
    main()

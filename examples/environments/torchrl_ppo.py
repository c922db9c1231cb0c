"""A loop of TorchRL: one policy plays all four seats of a hand of Texas 42 and learns by PPO.

    pip install 'zebfast[pettingzoo]' torchrl
    python examples/environments/torchrl_ppo.py --batches 60

The PettingZoo environment goes through TorchRL's own wrapper, which stacks the four seats: in
every step the rows of those that are not to act carry a mask that allows everything, and an action
that is never played, so that only the rows of `mask` count. Prints what seat 0's side wins against
random play, in points a hand, before and after.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torchrl.envs import PettingZooWrapper
from torchrl.envs.utils import check_env_specs

import zebfast
from zebfast.core.seat_planes import action_masks, batch_planes
from zebfast.environments.pettingzoo import hand_env

SEATS = ["seat_0", "seat_1", "seat_2", "seat_3"]


def wrapped() -> PettingZooWrapper:
    """The environment as TorchRL has it, all seats in one group."""
    return PettingZooWrapper(hand_env(), use_mask=True, group_map={"seats": SEATS})


class Policy(torch.nn.Module):
    """Logits of 28 dominoes from 340 planes; what the mask does not allow has none."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(340, 256), torch.nn.ReLU(), torch.nn.Linear(256, 28)
        )
        scale = torch.ones(340)
        scale[280:308] /= 28  # numbers of plays
        scale[338:340] /= 42  # points
        self.register_buffer("scale", scale)

    def forward(self, planes: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits for any leading dimensions."""
        return self.layers(planes.float() * self.scale).masked_fill(~mask, -1e9)


def points_against_random(policy: Policy, n: int, seed: int) -> tuple[float, float]:
    """Points a hand of the side of seats 0 and 2 with the policy's favourites, and the 95 % half-
    width; many hands at once on the engine itself."""
    games = zebfast.GameBatch.deal(n, seed=seed)
    while not games.over.all():
        seats = games.to_play
        rows = np.flatnonzero(seats % 2 == 0)
        planes = torch.from_numpy(batch_planes(games, seats[rows], rows))
        mask = torch.from_numpy(action_masks(games, rows)).bool()
        with torch.no_grad():
            games.play(policy(planes, mask).argmax(-1).numpy().astype(np.uint8), rows)
        others = np.flatnonzero(seats % 2 == 1)
        games.play_random(seed=seed, games=others, rows=others)
    lead = games.points.astype(int) @ np.array([1, -1])
    return float(lead.mean()), 1.96 * float(lead.std()) / n**0.5


def decisions(played: TensorDict) -> tuple[torch.Tensor, ...]:
    """Planes, masks and dominoes of the seats that acted, and the points that came to them then."""
    seats, acts = played["seats"], played["seats", "mask"]
    to_come = played["next", "seats", "reward"].squeeze(-1).flip(0).cumsum(0).flip(0)
    planes, allowed = seats["observation", "observation"], seats["action_mask"]
    return planes[acts], allowed[acts], seats["action"][acts], to_come[acts]


def learn(
    policy: Policy, optimizer: torch.optim.Optimizer, planes: torch.Tensor, allowed: torch.Tensor,
    dominoes: torch.Tensor, points: torch.Tensor, *, n_steps: int = 8, clip: float = 0.2,
) -> None:  # fmt: skip
    """Some steps on one batch of decisions, as far as the policy may move from what played them."""
    gain, before = points / points.std(), None
    for _ in range(n_steps):
        choice = torch.distributions.Categorical(logits=policy(planes, allowed))
        chance = choice.log_prob(dominoes)
        before = chance.detach() if before is None else before
        ratio = (chance - before).exp()
        gained = torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain)
        optimizer.zero_grad()
        (-gained.mean() - 0.01 * choice.entropy().mean()).backward()
        optimizer.step()


def main(argv: list[str] | None = None) -> None:
    """Train, and print how it does before and after."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=60, help="(default: 60)")
    parser.add_argument("--hands", type=int, default=16, help="of a batch (default: 16)")
    parser.add_argument("--judged", type=int, default=50_000, help="hands played (default: 50000)")
    parser.add_argument("--seed", type=int, default=1, help="(default: 1)")
    args = parser.parse_args(argv)
    torch.manual_seed(args.seed)
    check_env_specs(wrapped())
    env, policy = wrapped(), Policy()

    def act(planes: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        return torch.distributions.Categorical(logits=policy(planes, allowed)).sample()

    keys = [("seats", "observation", "observation"), ("seats", "action_mask")]
    actor = TensorDictModule(act, in_keys=keys, out_keys=[("seats", "action")])
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
    found = [points_against_random(policy, args.judged, args.seed)]
    env.set_seed(args.seed)
    for _ in range(args.batches):
        with torch.no_grad():
            hands = [decisions(env.rollout(28, actor)) for _ in range(args.hands)]
        learn(policy, optimizer, *map(torch.cat, zip(*hands, strict=True)))
    found.append(points_against_random(policy, args.judged, args.seed))
    before, after = (f"{mean:+.2f} ± {half:.2f}" for mean, half in found)
    print(f"points a hand: {before} before, {after} after {args.batches * args.hands} hands")


if __name__ == "__main__":
    main()

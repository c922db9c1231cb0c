"""Hands of 42 for PettingZoo as one would write them first: the yardstick of bench/environments.py.

The same engine, agents, actions, rewards and observations as `zebfast.environments.pettingzoo`, but
written over `Game` with the tools that PettingZoo gives, and observations filled in Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv

from zebfast import Game

SEATS = [f"seat_{seat}" for seat in range(4)]


class NaiveHands(AECEnv):
    """Rewards are points, as they are taken."""

    metadata = {"name": "naive_texas42_hand_v0", "is_parallelizable": False}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = list(SEATS)
        self.observation_spaces = {
            agent: spaces.Dict({
                "observation": spaces.Box(0, 255, (340,), np.uint8),
                "action_mask": spaces.Box(0, 1, (28,), np.int8),
            })
            for agent in SEATS
        }  # fmt: skip
        self.action_spaces = {agent: spaces.Discrete(28) for agent in SEATS}
        self._number = -1

    def observation_space(self, agent: str) -> Any:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        self._number = 0 if seed is not None else self._number + 1
        self.game = Game.deal(seed or 0, self._number)
        self.agents = list(SEATS)
        self.rewards = dict.fromkeys(SEATS, 0)
        self._cumulative_rewards = dict.fromkeys(SEATS, 0)
        self.terminations = dict.fromkeys(SEATS, False)
        self.truncations = dict.fromkeys(SEATS, False)
        self.infos: dict[str, dict[str, Any]] = {agent: {} for agent in SEATS}
        self.agent_selection = SEATS[self.game.to_play]

    def observe(self, agent: str) -> dict[str, np.ndarray]:
        game, seat = self.game, SEATS.index(agent)
        held, dealt, when = np.zeros(28), np.zeros(28), np.zeros(28)
        played, table = np.zeros((4, 28)), np.zeros((4, 28))
        declared, leader, to_act, trick = np.zeros(15), np.zeros(4), np.zeros(4), np.zeros(7)
        mask = np.zeros(28, np.int8)
        for domino in game.hands[seat]:
            held[domino] = 1
        for domino in game.dealt[seat]:
            dealt[domino] = 1
        for number, (by, domino) in enumerate(game.plays):
            played[(by - seat) % 4, domino] = 1
            when[domino] = number + 1
            if number >= len(game.plays) - len(game.trick):
                table[(by - seat) % 4, domino] = 1
        declared[game.decl] = 1
        if not game.over:
            first = game.plays[-len(game.trick)][0] if game.trick else game.to_play
            leader[(first - seat) % 4] = 1
            to_act[(game.to_play - seat) % 4] = 1
            trick[len(game.plays) // 4] = 1
            if game.to_play == seat:
                for domino in game.legal():
                    mask[domino] = 1
        points = [game.points[seat % 2], game.points[1 - seat % 2]]
        groups = [held, dealt, played.ravel(), table.ravel(), when, declared, leader, to_act, trick,
                  points]  # fmt: skip
        return {"observation": np.concatenate(groups).astype(np.uint8), "action_mask": mask}

    def step(self, action: int | None) -> None:
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        before = self.game.points
        self._cumulative_rewards[agent] = 0
        self._clear_rewards()
        self.game.play(int(action))
        after = self.game.points
        for seat, name in enumerate(SEATS):
            own = seat % 2
            self.rewards[name] = (after[own] - before[own]) - (after[1 - own] - before[1 - own])
        self._accumulate_rewards()
        if self.game.over:
            self.terminations = dict.fromkeys(SEATS, True)
            self._deads_step_first()
        else:
            self.agent_selection = SEATS[self.game.to_play]

"""Texas 42 for PettingZoo: four agents, `seat_0` to `seat_3`, who act one after another (AEC).

    from zebfast.environments.pettingzoo import hand_env

    env = hand_env()
    env.reset(seed=1)
    for agent in env.agent_iter():
        observation, reward, terminated, truncated, info = env.last()
        env.step(None if terminated else env.action_space(agent).sample(observation["action_mask"]))

A seat that wins a trick leads the next one, so an agent may act twice in a row.
"""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from zebfast.environments.pictures import check_render_mode, svg_picture, text_picture
from zebfast.environments.tables import SEATS, HandTable, Table, WholeTable, seat_number
from zebfast.rules import RuleSet
from zebfast.system.extras import missing

try:
    from gymnasium import spaces
    from pettingzoo import AECEnv, register
except ImportError as error:
    raise missing("PettingZoo", "pettingzoo", error) from error

MASKS = ("observation", "info")
RENDER_MODES = ("ansi", "human", "svg")


class TableEnv(AECEnv):  # type: ignore[misc,type-arg,unused-ignore]
    """An AEC environment over a table; made by `hand_env` and `whole_game_env`.

    Observations are {"observation": uint8 [planes], "action_mask": int8 [actions]}, the mask all
    zeros for a seat that is not to act; with ``mask="info"`` they are the planes alone, and the
    mask is in the infos. What the planes say is in `zebfast.core.seat_planes`: each seat sees its
    own hand and what lies open to all.

    `reset(seed)` deals game 0 of the seed, `reset()` the next one of the same. `options` may hold
    "game", the text form of a game that is not over, which is then gone on with. `step` raises
    IllegalPlay, IllegalCall, IllegalDeclaration or WrongPhase for an action that is not legal, and
    ValueError after the end; then nothing has happened.
    """

    def __init__(self, table: Table, name: str, mask: str, render_mode: str | None) -> None:
        if mask not in MASKS:
            raise ValueError(f"mask={mask!r}: expected one of {', '.join(MASKS)}")
        check_render_mode(render_mode, RENDER_MODES)
        super().__init__()
        self.metadata = {
            "name": name, "render_modes": list(RENDER_MODES), "is_parallelizable": False,
        }  # fmt: skip
        self.render_mode = render_mode
        self.table = table
        self.possible_agents = list(SEATS)
        self.agents: list[str] = []
        self._mask_in_info = mask == "info"
        planes = spaces.Box(0, 255, (table.n_planes,), np.uint8)
        masks = spaces.Box(0, 1, (table.n_actions,), np.int8)
        # One object an agent, the same at every question; each has random numbers of its own.
        self.observation_spaces = {
            agent: spaces.Box(0, 255, planes.shape, np.uint8) if self._mask_in_info
            else spaces.Dict({"observation": planes, "action_mask": masks})
            for agent in SEATS
        }  # fmt: skip
        self.action_spaces = {agent: spaces.Discrete(table.n_actions) for agent in SEATS}

    def observation_space(self, agent: str) -> Any:
        """What `observe` gives an agent; the same object each time."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """Dominoes or, of whole games, all actions; the same object each time."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Deal; see the class. Raises ValueError for a text that is no game to go on with."""
        self.table.deal(seed, (options or {}).get("game"))
        self.agents = list(SEATS)
        self.rewards = dict.fromkeys(SEATS, 0)
        self._cumulative_rewards = dict.fromkeys(SEATS, 0)
        self.terminations = dict.fromkeys(SEATS, False)
        self.truncations = dict.fromkeys(SEATS, False)
        self.infos: dict[str, dict[str, Any]] = {agent: {} for agent in SEATS}
        self._skip_agent_selection = None
        self._point_at(SEATS[self.table.seat])

    def _point_at(self, agent: str) -> None:
        self.agent_selection = agent
        if self._mask_in_info:
            self.infos = {each: {"action_mask": self._mask_of(each)} for each in SEATS}

    def _mask_of(self, agent: str) -> Any:
        if agent == self.agent_selection:
            return self.table.mask()  # all zeros when the game is over
        return np.zeros(self.table.n_actions, np.int8)

    def observe(self, agent: str) -> Any:
        """What a seat knows now, new arrays each time."""
        planes = self.table.planes(seat_number(agent))
        if self._mask_in_info:
            return planes
        return {"observation": planes, "action_mask": self._mask_of(agent)}

    def step(self, action: int | None) -> None:
        """The selected agent acts; after the end each agent takes its leave with None."""
        if not self.agents:
            raise ValueError("the game is over and all seats have left: reset the environment")
        agent = self.agent_selection
        if self.terminations[agent]:
            self._was_dead_step(action)
            return
        if action is None:
            raise ValueError(f"{agent} is to act: None is for seats of a game that is over")
        earned = self.table.act(index(action))
        self._cumulative_rewards[agent] = 0  # it has seen them
        for name, reward in zip(SEATS, (earned, -earned, earned, -earned), strict=True):
            self.rewards[name] = reward
            self._cumulative_rewards[name] += reward
        over = self.table.game.over
        self._point_at(agent if over else SEATS[self.table.seat])
        if over:
            self.terminations = dict.fromkeys(SEATS, True)
            self._deads_step_first()

    def render(self) -> str | None:
        """The table with all hands open, as text or as an SVG; "human" prints the text."""
        if self.render_mode is None or self.table.game is None:
            return None
        if self.render_mode == "svg":
            return svg_picture(self.table.game)
        picture = text_picture(self.table.game)
        if self.render_mode == "human":
            print(picture)
            return None
        return picture

    def close(self) -> None:
        """Nothing is held open."""


def hand_env(
    *, rewards: str = "points", bid: int = 30, mask: str = "observation",
    render_mode: str | None = None,
) -> TableEnv:  # fmt: skip
    """Single hands of straight 42. Rewards: points, win or contract, see `HandTable`."""
    return TableEnv(HandTable(rewards, bid), "texas42_hand_v0", mask, render_mode)


def whole_game_env(
    *, rewards: str = "marks", rules: str | RuleSet | None = None, mask: str = "observation",
    render_mode: str | None = None,
) -> TableEnv:  # fmt: skip
    """Whole games. Rewards: marks or game, see `WholeTable`; rules as `RuleSet.from_text` reads."""
    rule_set = RuleSet.from_text(rules) if isinstance(rules, str) else rules
    return TableEnv(WholeTable(rewards, rule_set), "texas42_v0", mask, render_mode)


register("aec", "zebfast/texas42_hand-v0", "zebfast.environments.pettingzoo:hand_env")
register("aec", "zebfast/texas42-v0", "zebfast.environments.pettingzoo:whole_game_env")

"""Fits what calls are worth and what bids are made with, and the race to seven marks.

What a call is worth depends on how all go on bidding: the auction from each call on is finished by
the bidder as it is and by opponents of every style, the call's end is known (`deals`), and a
network learns the chances of every end; with it the bidder is better, and all is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bids.auctions import (
    Style,
    Table,
    by_worth,
    exploring,
    finish,
    lowest,
    match,
    mistaken,
    rule,
    thirty,
)
from bids.deals import Deals
from zebfast.arena.bidders.auctions import N_PRICES, price_of
from zebfast.arena.bidders.race import race_table
from zebfast.arena.bidders.worth import AWARDS, N_CALLS, N_INPUTS, N_OF_HAND
from zebfast.rules import N_SEATS

HIDDEN = (96, 64)  # of worth
PRICE_HIDDEN = (64, 32)
_BATCH = 1024
_ODDS_SCALE, _PRICE_FROM = 3.0, 28  # where the best prices are among the inputs, see worth.of_hand
SELF = "itself"
Say = Callable[[str], object]


@dataclass(frozen=True)
class Options:
    """How long, and against whom: shares of opponents by their style."""

    rounds: int = 4
    epochs: int = 4
    price_epochs: int = 8
    exploration: float = 0.2
    seed: int = 0
    held_out: int = 20_000  # deals


def styles(rng: np.random.Generator) -> dict[str, tuple[Style | None, float]]:
    """The opponents, and how many of them there are to each other; None is the bidder itself."""
    return {
        SELF: (None, 2.0),
        "lowest:0.5": (lowest(0.5), 1.0),
        "lowest:0.45, not over its partner": (lowest(0.45, over_partner=False), 1.0),
        "lowest:0.55": (lowest(0.55), 1.0),
        "mistaken": (mistaken(0.48, 0.35, rng), 1.0),
        "rule": (rule(jump=False), 1.0),
        "jump": (rule(jump=True), 1.0),
        "thirty": (thirty, 1.0),
    }


def network(hidden: tuple[int, ...], n_out: int) -> torch.nn.Sequential:
    """Linear maps with rectifiers between."""
    sizes = (N_INPUTS, *hidden, n_out)
    layers: list[torch.nn.Module] = []
    for i, (n_in, n_next) in enumerate(pairwise(sizes)):
        layers += [torch.nn.ReLU()] if i else []
        layers.append(torch.nn.Linear(n_in, n_next))
    return torch.nn.Sequential(*layers)


def tensors(net: torch.nn.Sequential, name: str) -> dict[str, NDArray[np.float32]]:
    """Its weights under the names that `SmallNet.of` reads."""
    maps = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    return {
        f"{name}.{i}.{part}": getattr(layer, part).detach().numpy()
        for i, layer in enumerate(maps)
        for part in ("weight", "bias")
    }


def ends(
    deals: Deals, own: Style, opponents: Mapping[str, tuple[Style | None, float]],
    rng: np.random.Generator, exploration: float,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """One decision of every deal: its inputs f4[n, N_INPUTS], and the place among AWARDS of what
    every call brings in the end, i8[n, N_CALLS]; -1 for illegal calls."""
    shares = np.array([share for _, share in opponents.values()])
    kind = rng.choice(len(shares), len(deals), p=shares / shares.sum())
    turn = rng.integers(0, N_SEATS, len(deals))
    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    for k, (style, _) in enumerate(opponents.values()):
        other = style or own
        for position in range(N_SEATS):
            rows = np.flatnonzero((kind == k) & (turn == position))
            table = Table.begin(deals.take(rows))
            wild, less = exploring(own, exploration, rng), exploring(other, exploration / 6, rng)
            for earlier in range(position):
                chosen = wild if earlier % 2 == position % 2 else less
                table.call(earlier, chosen(table, earlier))
            found.append((table.inputs(position), _each_call(table, position, own, other)))
    inputs, targets = zip(*found, strict=True)
    return torch.cat(inputs), torch.cat(targets)


def _each_call(table: Table, position: int, own: Style, other: Style) -> torch.Tensor:
    legal = table.legal()
    found = np.full(legal.shape, -1, np.int64)
    for call in range(N_CALLS):
        rows = np.flatnonzero(legal[:, call])
        after = table.take(rows)
        after.call(position, np.full(len(rows), call, np.uint8))
        finish(after, own, other, side=position % 2, first=position + 1)
        found[rows, call] = after.awards() * (1 - 2 * (position % 2)) - AWARDS[0]
    return torch.from_numpy(found)


def train(
    net: torch.nn.Module, loss_of: Callable[[torch.Tensor], torch.Tensor], n: int, epochs: int
) -> float:
    """AdamW with one cycle of its rate; the mean loss of the last epoch."""
    steps, rate = epochs * (n // _BATCH), 2e-3
    optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=0.1
    )
    total = 0.0
    for _ in range(epochs):
        order, total = torch.randperm(n), 0.0
        for i in range(n // _BATCH):
            loss = loss_of(order[i * _BATCH : (i + 1) * _BATCH])
            optimizer.zero_grad()
            torch.autograd.backward([loss])
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
    return total / max(1, n // _BATCH)


def fit_worth(deals: Deals, held_out: Deals, options: Options, say: Say) -> torch.nn.Sequential:
    """The network of `worth`, round after round."""
    rng = np.random.default_rng(options.seed)
    net, own = network(HIDDEN, N_CALLS * len(AWARDS)), lowest(0.5, over_partner=False)
    opponents = styles(rng)
    for number in range(options.rounds):
        parts = [
            ends(deals.turned(turn), own, opponents, rng, options.exploration)
            for turn in rng.permutation(N_SEATS)[: 1 + (number > 0)]
        ]
        inputs, targets = (torch.cat(part) for part in zip(*parts, strict=True))

        def loss_of(
            rows: torch.Tensor, inputs: torch.Tensor = inputs, targets: torch.Tensor = targets
        ) -> torch.Tensor:
            scores = net(inputs[rows]).reshape(-1, len(AWARDS))
            return torch.nn.functional.cross_entropy(
                scores, targets[rows].reshape(-1), ignore_index=-1
            )

        loss = train(net, loss_of, len(inputs), options.epochs)
        own = by_worth(net)
        won = {name: match(held_out, own, style)[0] for name, (style, _) in opponents.items()
               if style is not None}  # fmt: skip
        told = ", ".join(f"{name} {marks:+.3f}" for name, marks in won.items())
        say(f"round {number + 1}: loss {loss:.4f}; marks a hand against {told}")
    return net


def fit_price(deals: Deals, own: Style, options: Options, say: Say) -> torch.nn.Sequential:
    """The network of `price`: on hands without an auction at every bid, and on the contracts of
    auctions of the bidder with itself at theirs."""
    rng = np.random.default_rng(options.seed + 1)
    found = [_without_auction(deals)]
    for turn in range(N_SEATS):
        turned = deals.turned(turn)
        found.append(_contracts(turned, exploring(own, 0.02, rng) if turn else own))
    inputs, made, asked = (torch.cat(part) for part in zip(*found, strict=True))
    asked /= asked.mean(0).sqrt()  # rare bids count for more; each has an answer of its own
    odds = inputs[:, _PRICE_FROM : _PRICE_FROM + N_PRICES] * _ODDS_SCALE
    net = network(PRICE_HIDDEN, N_PRICES)

    def loss_of(rows: torch.Tensor) -> torch.Tensor:
        scores = odds[rows] + net(inputs[rows])
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            scores, made[rows], reduction="none"
        )
        return (each * asked[rows]).sum() / asked[rows].sum()

    say(f"price: loss {train(net, loss_of, len(inputs), options.price_epochs):.4f}")
    return net


Rows = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _without_auction(deals: Deals) -> Rows:
    """Inputs, what was made and what is asked, of one seat of every deal; all bids weigh one."""
    seat = np.arange(len(deals)) % N_SEATS
    rows = np.arange(len(deals))
    inputs = torch.zeros(len(deals), N_INPUTS)
    inputs[:, :N_OF_HAND] = torch.from_numpy(deals.inputs[rows, seat])
    made = torch.from_numpy(deals.made[rows, seat].astype(np.float32))
    return inputs, made, torch.full_like(made, 1 / N_PRICES)


def _contracts(deals: Deals, own: Style) -> Rows:
    """The same of the contracts that auctions end with, at their bids alone."""
    table = Table.begin(deals)
    finish(table, own, own, side=0, first=0)
    found = []
    for position in range(N_SEATS):
        rows = np.flatnonzero(table.bidder == position)
        some = table.take(rows)
        at = price_of(some.bid)
        asked = np.zeros((len(rows), N_PRICES), np.float32)
        asked[np.arange(len(rows)), at] = 1.0
        made = some.deals.made[:, position].astype(np.float32)
        found.append((some.inputs(position), torch.from_numpy(made), torch.from_numpy(asked)))
    return tuple(torch.cat(part) for part in zip(*found, strict=True))  # type: ignore[return-value]


def fit_race(deals: Deals, own: Style) -> tuple[NDArray[np.float64], list[float]]:
    """The race table, and the chances of AWARDS to the side that shakes which it rests on."""
    table = Table.begin(deals)
    finish(table, own, own, side=0, first=0)
    to_shaker = -table.awards() - AWARDS[0]  # who shakes sits at position 3
    shares = np.bincount(to_shaker, minlength=len(AWARDS)) / len(deals)
    return race_table(shares), shares.tolist()


def of_tensors(held: Mapping[str, NDArray[np.floating]]) -> torch.nn.Sequential:
    """The network of `worth` with weights that `tensors` gave."""
    net = network(HIDDEN, N_CALLS * len(AWARDS))
    maps = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    for i, layer in enumerate(maps):
        for part in ("weight", "bias"):
            values = torch.from_numpy(np.array(held[f"worth.{i}.{part}"], np.float32))
            getattr(layer, part).data.copy_(values)
    return net


def fit(
    deals: Deals, options: Options, say: Say,
    worth: Mapping[str, NDArray[np.floating]] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """The arrays of a file of bids, and what its provenance says of the fit.

    worth: arrays of another file, whose `worth` is kept.
    """
    torch.manual_seed(options.seed)
    held_out = deals.take(np.arange(options.held_out))
    rest = deals.take(np.arange(options.held_out, len(deals)))
    net = fit_worth(rest, held_out, options, say) if worth is None else of_tensors(worth)
    own = by_worth(net)
    price = fit_price(rest, own, options, say)
    race, shares = fit_race(held_out, own)
    opponents = styles(np.random.default_rng(options.seed))
    marks = {
        name: {"marks_a_hand": won, "standard_error": error}
        for name, (style, _) in opponents.items()
        if style is not None
        for won, error in [match(held_out, own, style)]
    }
    arrays = {**tensors(net, "worth"), **tensors(price, "price"), "race": race}
    return arrays, {
        "deals": len(rest), "held_out": len(held_out), "rounds": options.rounds,
        "epochs": options.epochs, "price_epochs": options.price_epochs,
        "exploration": options.exploration, "seed": options.seed,
        "awards_to_the_shaking_side": dict(zip(map(str, AWARDS), shares, strict=True)),
        "held_out_marks": marks,
    }  # fmt: skip

"""Specs of bidders: the first part of a player of whole games, BIDDER+PLAY.

value[:source=FILE][,bids=FILE]   what zebfast plays with
lowest:THRESHOLD[,source=FILE]    the lowest call, if the network makes it with that chance
open:THRESHOLD[,n=LAYOUTS]        the same by solved layouts, which promise too much
rule | jump                       by losers: the lowest call to a ceiling, or the ceiling at once
thirty                            30 if nobody has bid
policy:FILE[:NAME] | FILE.py[:NAME]   a user's policy, by its functions that bid and declare
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zebfast.arena.bidders.base import Bidder
from zebfast.arena.bidders.lowest import LowestBidder, ThirtyBidder
from zebfast.arena.bidders.open_handed import OpenHandedBidder
from zebfast.arena.bidders.prices import NetworkPrices
from zebfast.arena.bidders.rule import RuleBidder
from zebfast.arena.bidders.value import BadBids, Bids, ValueBidder
from zebfast.arena.players.build import PlayerLoadError, load_network, open_policy
from zebfast.arena.players.specs import (
    PlayerSpec,
    PlayerSpecError,
    PolicyOptions,
    SpecOptions,
    is_policy,
    parse_spec,
)
from zebfast.net import shipped
from zebfast.net.v2 import V2Config
from zebfast.system.settings import Setting, did_you_mean

if TYPE_CHECKING:
    from zebfast.core.solver_pool import SolverPool

BEST, BY_RULE, POLICY = "value", "rule", "policy"
BIDDER_FORM = (
    "value[:source=FILE,bids=FILE], lowest:THRESHOLD[,source=FILE], open:THRESHOLD[,n=LAYOUTS], "
    "rule, jump, thirty, policy:FILE[:NAME]"
)
WHOLE_FORM = f"BIDDER+PLAY with a bidder of {BIDDER_FORM}"
N_LAYOUTS = 40
_KNOWN = {
    BEST: ("source", "bids"), "lowest": ("threshold", "source"), "open": ("threshold", "n"),
    BY_RULE: (), "jump": (), "thirty": (),
}  # fmt: skip
_MOST_LAYOUTS = 10_000
_CHANCE = Setting(least=0, most=1)


@dataclass(frozen=True)
class BidderSpec:
    """One parsed spec. `source` and `bids`: files in place of what is shipped; "" = shipped."""

    text: str
    kind: str
    threshold: float = 0.0
    n_layouts: int = N_LAYOUTS
    source: str = ""
    bids: str = ""
    policy: PolicyOptions | None = None


@dataclass(frozen=True)
class WholeSpec:
    """A player of whole games: who bids and who plays, each of which can be held fixed."""

    text: str
    bidder: BidderSpec
    play: PlayerSpec


def parse_whole(text: str) -> WholeSpec:
    """Parse BIDDER+PLAY, or PLAY alone: then a network bids by value, a policy as it says, and
    others by rule.

    Raises PlayerSpecError (one sentence) for anything else.
    """
    spec = text.strip()
    first, plus, rest = spec.partition("+")
    if plus and (first.partition(":")[0] in _KNOWN or is_policy(first)):
        return WholeSpec(spec, parse_bidder(first), parse_spec(rest))
    if spec.partition(":")[0] in _KNOWN:
        raise PlayerSpecError(f"Player {spec!r} bids and does not play; write it as {spec}+zeb.")
    play = parse_spec(spec)
    if isinstance(play.options, PolicyOptions):
        return WholeSpec(spec, parse_bidder(play.text), play)
    return WholeSpec(spec, parse_bidder(BEST if play.needs_network else BY_RULE), play)


def parse_bidder(text: str) -> BidderSpec:
    """Parse the spec of a bidder alone. Raises PlayerSpecError (one sentence)."""
    spec = text.strip()
    kind, colon, rest = spec.partition(":")
    if is_policy(spec):
        policy = parse_spec(spec).options
        assert isinstance(policy, PolicyOptions)
        return BidderSpec(text=spec, kind=POLICY, policy=policy)
    if kind not in _KNOWN:
        hint = did_you_mean(kind, _KNOWN) or "."
        raise PlayerSpecError(f"Unknown bidder {spec!r}: known are {BIDDER_FORM}{hint}")
    known = _KNOWN[kind]
    if colon and not known:
        raise PlayerSpecError(f"Bidder {kind!r} takes no options; write it as {kind!r} alone.")
    if rest and "threshold" in known and "=" not in rest.partition(",")[0]:
        rest = f"threshold={rest}"
    options = SpecOptions.parse(spec, rest, form=BIDDER_FORM, known=known)
    if "threshold" in known and "threshold" not in options:
        raise PlayerSpecError(
            f"Bidder {spec!r} does not say from which chance on it bids; write {kind}:0.5."
        )
    return BidderSpec(
        text=spec,
        kind=kind,
        threshold=options.number("threshold", 0.0, _CHANCE),
        n_layouts=options.whole("n", N_LAYOUTS, least=1, most=_MOST_LAYOUTS, of="layouts"),
        source=options.written.get("source", ""),
        bids=options.written.get("bids", ""),
    )


def build_bidder(spec: BidderSpec, *, seed: int = 0, pool: SolverPool | None = None) -> Bidder:
    """The bidder that a spec names; `seed` draws layouts, and the caller's `pool` solves them.

    Raises PlayerLoadError (one sentence).
    """
    if spec.policy is not None:
        from zebfast.arena.bidders.policy import PolicyBidder

        asked = open_policy(spec.policy.place, spec.policy.asking)
        if "bid" not in asked:
            raise PlayerLoadError(
                f"{asked.label} does not bid: write its function under @NAME.bid."
            )
        return PolicyBidder(spec.text, asked, seed)
    if spec.kind in ("rule", "jump"):
        return RuleBidder(spec.text, jump=spec.kind == "jump")
    if spec.kind == "open":
        from zebfast.core.solver_pool import SolverPool

        # One thread works in the calling one, so that there is nothing to close.
        return OpenHandedBidder(
            spec.text, pool or SolverPool(1), spec.threshold, spec.n_layouts, seed
        )
    prices = network_prices(spec)
    if spec.kind == "lowest":
        return LowestBidder(spec.text, prices, spec.threshold)
    if spec.kind == "thirty":
        return ThirtyBidder(spec.text, prices)
    try:
        bids = Bids.load(Path(spec.bids).expanduser() if spec.bids else shipped.BIDS)
    except BadBids as error:
        raise PlayerLoadError(f"Bidder {spec.text!r} cannot bid: {error}.") from error
    return ValueBidder(spec.text, prices, bids)


def network_prices(spec: BidderSpec) -> NetworkPrices:
    """Prices by the spec's network. Raises PlayerLoadError for one that does not say points."""
    play = parse_spec(f"zeb:source={spec.source}" if spec.source else "zeb")
    found = load_network(replace(play, text=spec.text))
    if not isinstance(found.config, V2Config):
        raise PlayerLoadError(
            f"Bidder {spec.text!r} cannot price: {spec.source} is a network that does not predict "
            "points; v2 ones do."
        )
    return NetworkPrices(found.config, found.weights)

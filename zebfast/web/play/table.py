"""One table: a whole game, who sits where, and what may be done by whom."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import Any

from zebfast.core.whole_game import WholeGame
from zebfast.rules import (
    N_SEATS,
    IllegalCall,
    IllegalDeclaration,
    IllegalPlay,
    RuleSet,
    WrongPhase,
    deal,
    first_shaker,
    whole_game_seed,
)
from zebfast.web.answers import Refused

VERSION = 1
PACES = {"instant": 0.0, "fast": 0.35, "calm": 1.0, "slow": 2.2}
MOST_NAME = 24
PLACES = ("South", "West", "North", "East")
_ID = re.compile(r"[A-Za-z0-9_-]{8,40}")
_ILLEGAL = (IllegalCall, IllegalDeclaration, IllegalPlay, WrongPhase)


class BadTable(ValueError):
    """A saved table that cannot be read; the message is a clause about it."""


@dataclass(frozen=True)
class Seat:
    """Who sits somewhere.

    Attributes:
        name: as people read it.
        player: spec of a computer player; "" where a person sits.
        key: what the link of a person elsewhere holds; "" for people at the owner's browser.
    """

    name: str
    player: str = ""
    key: str = ""

    @property
    def is_person(self) -> bool:
        """Whether a person sits there."""
        return not self.player

    @property
    def kind(self) -> str:
        """``computer``, ``here`` (at the owner's browser) or ``link``."""
        return "computer" if self.player else "link" if self.key else "here"


def seat_of(kind: str, name: str, player: str, place: int) -> Seat:
    """A seat as somebody chose it. Refused for a kind that is none."""
    clean = " ".join("".join(c for c in name if c.isprintable()).split())[:MOST_NAME]
    if kind == "computer":
        return Seat(clean or PLACES[place], player)
    if kind not in ("here", "link"):
        raise Refused(400, f"{kind[:20]!r} is no kind of seat: expected computer, here or link.")
    key = secrets.token_urlsafe(16) if kind == "link" else ""
    return Seat(clean or PLACES[place], key=key)


@dataclass
class Table:
    """A game in progress and its seats. Hands come from a seed that no browser is told.

    Attributes:
        version: how often something has changed; what is done names the one that it has seen.
        seed: deals hand after hand, as that of a `WholeGame`.
        hints: whether people may ask what is good while a hand is played.
        takebacks: plays and calls that were taken back.
        review_only: a game from elsewhere, to be looked at.
    """

    id: str
    seats: tuple[Seat, ...]
    game: WholeGame
    seed: int
    made: float
    pace: str = "calm"
    hints: bool = False
    version: int = 0
    takebacks: int = 0
    review_only: bool = False
    changed: float = 0.0  # when something was done last

    @classmethod
    def new(
        cls, rule_set: RuleSet, seats: tuple[Seat, ...], *, pace: str, hints: bool, now: float
    ) -> Table:
        """A table with the first hand dealt."""
        seed = secrets.randbits(64)
        game = WholeGame(rule_set, shaker=first_shaker(seed, 0))
        table = cls(
            secrets.token_urlsafe(9), seats, game, seed, now, check_pace(pace), hints, changed=now
        )
        table._deal()
        return table

    # --- how it stands ---------------------------------------------------------------------------

    @property
    def between_hands(self) -> bool:
        """Whether a hand is over and the next one is to be dealt."""
        return self.game.phase == "deal"

    @property
    def hands_open(self) -> bool:
        """Whether everybody may see all dominoes of the hand dealt last."""
        return self.game.phase in ("deal", "over")

    @property
    def n_people(self) -> int:
        """How many people sit here."""
        return sum(seat.is_person for seat in self.seats)

    @property
    def thinker(self) -> str:
        """Spec of the computer player that is to act; "" where none is."""
        seat = self.game.seat
        return "" if seat is None or self.review_only else self.seats[seat].player

    def acts(self) -> list[int]:
        """The seats that have acted in the hand dealt last, in order."""
        game = self.game
        called = [] if game.rule_set.auction == "drop30" else [seat for seat, _ in game.calls]
        declared = [game.declarer] if game.decl is not None and game.declarer is not None else []
        return [*called, *declared, *(seat for seat, _ in game.plays)]

    def undoable(self, own: frozenset[int] | set[int]) -> int:
        """How many acts a person with these seats may take back now; 0 where none.

        Alone with computers, to the own last act; among people, as long as nobody has acted after
        it. Never once the hands were shown.
        """
        if self.hands_open or self.review_only:
            return 0
        acts = self.acts()
        last = max((i for i, seat in enumerate(acts) if seat in own), default=None)
        if last is None:
            return 0
        people = {seat for seat in range(N_SEATS) if self.seats[seat].is_person}
        back = len(acts) - last
        return back if back == 1 or people <= own else 0

    # --- what is done ----------------------------------------------------------------------------

    def act(self, seat: int, value: int) -> None:
        """Call, declare or play, whatever is asked of the seat. Refused with the rule it breaks."""
        game = self.game
        if game.seat != seat or self.review_only:
            raise Refused(409, f"It is not {self.seats[seat].name}'s turn.")
        try:
            {"call": game.call, "declare": game.declare, "play": game.play}[game.phase](value)
        except _ILLEGAL as error:
            raise Refused(422, f"{str(error).rstrip('.')}.") from error
        self.version += 1

    def end_hand(self) -> None:
        """End a decided hand early, where the rules leave that to the players."""
        try:
            self.game.end_hand()
        except WrongPhase as error:
            raise Refused(409, f"{str(error).rstrip('.')}.") from error
        self.version += 1

    def next_hand(self) -> None:
        """Deal the next hand."""
        if not self.between_hands or self.review_only:
            raise Refused(409, "No hand is to be dealt now.")
        self._deal()

    def _deal(self) -> None:
        number = self.game.hand_number
        self.game.deal(deal(whole_game_seed(self.seed, 0, number), 0)[0])
        self.version += 1

    def undo(self, own: frozenset[int]) -> None:
        """Take back to the last act of these seats."""
        back = self.undoable(own)
        if not back:
            raise Refused(409, "Nothing can be taken back now.")
        for _ in range(back):
            self.game.undo()
        self.takebacks += 1
        self.version += 1

    def change(self, *, pace: str | None = None, hints: bool | None = None) -> None:
        """Other settings of the table."""
        self.pace = self.pace if pace is None else check_pace(pace)
        self.hints = self.hints if hints is None else hints
        self.version += 1

    def rename(self, place: int, seat: Seat) -> None:
        """Another person or player on a seat."""
        self.seats = (*self.seats[:place], seat, *self.seats[place + 1 :])
        self.version += 1

    def snapshot(self) -> Table:
        """A copy, to do something to that is to be kept before it counts."""
        return replace(self, game=self.game.copy())

    def become(self, other: Table) -> None:
        """What a copy has become."""
        self.__dict__.update(other.__dict__)

    # --- on the disk -----------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "v": VERSION, "id": self.id, "made": self.made, "changed": self.changed,
            "seed": self.seed, "version": self.version, "pace": self.pace, "hints": self.hints,
            "takebacks": self.takebacks, "review_only": self.review_only,
            "seats": [[seat.name, seat.player, seat.key] for seat in self.seats],
            "game": str(self.game),
        }  # fmt: skip

    @classmethod
    def from_json(cls, found: Any) -> Table:
        """A table as `as_json` wrote it. BadTable for anything else."""
        try:
            if found["v"] != VERSION:
                raise BadTable(f"it has version {found['v']!r}; expected {VERSION}")
            seats = tuple(Seat(*map(str, seat)) for seat in found["seats"])
            if len(seats) != N_SEATS or not is_id(found["id"]):
                raise BadTable("it has no id or not four seats")
            return cls(
                found["id"], seats, WholeGame.from_text(found["game"]), int(found["seed"]),
                float(found["made"]), check_pace(found["pace"]), bool(found["hints"]),
                int(found["version"]), int(found["takebacks"]), bool(found["review_only"]),
                float(found["changed"]),
            )  # fmt: skip
        except BadTable:
            raise
        except (KeyError, TypeError, ValueError, OverflowError, Refused) as error:
            raise BadTable(f"it is no saved table ({error})") from error


def imported(game: WholeGame, *, now: float = 0.0) -> Table:
    """A game from elsewhere, which is only looked back at."""
    seats = tuple(Seat(place) for place in PLACES)
    return Table(secrets.token_urlsafe(9), seats, game, 0, now, review_only=True, changed=now)


def check_pace(pace: str) -> str:
    """The name of a pace. Refused for another word."""
    if pace not in PACES:
        raise Refused(400, f"{str(pace)[:20]!r} is no pace: expected {', '.join(PACES)}.")
    return pace


def is_id(text: object) -> bool:
    """Whether this can be a table's id, and so the name of its file."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None

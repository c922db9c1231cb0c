"""What houses and tournaments agree on before the first shake, as data.

The default is straight 42 as the tournaments of the N42PA play it. Every setting that is not
theirs names in docs/rules.md who plays it so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from zebfast.rules.tiles import N_DECLARATIONS, Declaration, HouseDeclaration
from zebfast.system.settings import SettingError, check, decode, encode, setting

MOST_MARKS = 7  # of one bid
_NELLO: dict[str, tuple[HouseDeclaration, ...]] = {
    "off": (),
    "own": (HouseDeclaration.NELLO,),
    "high": (HouseDeclaration.NELLO_HIGH,),
    "low": (HouseDeclaration.NELLO_LOW,),
    "inverted": (HouseDeclaration.NELLO_INVERTED,),
    "any": tuple(decl for decl in HouseDeclaration if decl.is_nello),
}


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """The rules of a whole game; straight tournament 42 where nothing is said.

    Raises:
        SettingError: a setting is out of its bounds, or two of them contradict each other.
    """

    scoring: str = setting(
        "marks", "What is counted: marks, or the points of every hand.", choices=("marks", "points")
    )
    target: int = setting(7, "Marks, or points, that win the game.", least=1, most=1000)
    auction: str = setting(
        "full",
        "full, or drop30: the seat left of the shaker has 30 and declares its longest pip.",
        choices=("full", "drop30"),
    )
    all_pass: str = setting(
        "reshake",
        "Where nobody bids: reshake (thrown in, the shake moves on) or force (the shaker must).",
        choices=("reshake", "force"),
    )
    most_reshakes: int = setting(
        20, "Hands thrown in one after the other, after which the shaker must bid.", least=0,
        most=100,
    )  # fmt: skip
    forced_bid: int = setting(30, "The least bid of a shaker that must bid.", least=30, most=42)
    opening_marks: int = setting(
        2, "The most marks of the first mark bid.", least=1, most=MOST_MARKS
    )
    most_marks: int = setting(MOST_MARKS, "The most marks of any bid.", least=1, most=MOST_MARKS)
    follow_me: bool = setting(True, "No trump may be declared.")
    doubles_suit: bool = setting(
        False, "Doubles may be declared a suit of their own without trump power."
    )
    nello: str = setting("off", "Nello, and what becomes of the doubles.", choices=tuple(_NELLO))
    nello_marks: int = setting(
        1, "The least bid for nello, in marks; 0 where, being forced, one of points will do.",
        least=0, most=MOST_MARKS,
    )  # fmt: skip
    nello_forced: bool = setting(False, "Nello is for a shaker that had to bid, and nobody else.")
    plunge: int = setting(
        0, "The least value of a plunge (four doubles), in marks.", least=0, most=MOST_MARKS,
        off=True,
    )  # fmt: skip
    splash: int = setting(
        0, "The least value of a splash (three doubles), in marks; it is never above 3.", least=0,
        most=3, off=True,
    )  # fmt: skip
    partner_leads: bool = setting(
        True, "After a plunge or splash the partner, who names trumps, leads; else the bidder."
    )
    sevens: int = setting(
        0, "The least bid for sevens, in marks.", least=0, most=MOST_MARKS, off=True
    )
    sevens_forced: bool = setting(False, "Sevens is for a shaker that had to bid, and nobody else.")
    forced_sweep: int = setting(
        1, "Marks for all seven tricks after a bid of points that the shaker had to make.", least=1,
        most=MOST_MARKS,
    )  # fmt: skip
    early_end: bool = setting(
        True, "A hand for marks ends with the trick that decides it; else it may be ended there."
    )

    def __post_init__(self) -> None:
        check(self)
        house = [name for name in ("plunge", "splash", "sevens") if getattr(self, name)]
        house += ["nello"] if self.nello != "off" else []
        if self.scoring == "points" and house:
            raise SettingError(
                f"{house[0]} is a contract for marks: expected scoring to be marks, not points"
            )
        if self.scoring == "points" and self.forced_sweep > 1:
            raise SettingError("forced_sweep is paid in marks: expected scoring to be marks")
        if not self.nello_marks and not self.nello_forced:
            raise SettingError(
                "nello_marks is 0, which goes with nello_forced=true alone: expected 1 to 7"
            )

    @property
    def mark_bids(self) -> tuple[int, ...]:
        """The mark bids there are, each the next one over the one before it."""
        ladder = (1, 2, 4) if self.scoring == "points" else range(1, MOST_MARKS + 1)
        return tuple(marks for marks in ladder if marks <= self.most_marks)

    def straight_declarations(self) -> list[int]:
        """Ids of the declarations that go with any bid."""
        banned = set() if self.follow_me else {int(Declaration.NO_TRUMP)}
        banned |= set() if self.doubles_suit else {int(Declaration.DOUBLES_SUIT)}
        return [decl for decl in range(N_DECLARATIONS) if decl not in banned]

    def house_declarations(self, marks: int, *, forced: bool) -> list[int]:
        """Ids of the contracts that may be declared besides, after a bid of so many marks (0: of
        points), which the shaker had to make or not."""
        nello = marks >= self.nello_marks and (forced or not self.nello_forced)
        sevens = 0 < self.sevens <= marks and (forced or not self.sevens_forced)
        found = (*(_NELLO[self.nello] if nello else ()),
                 *((HouseDeclaration.SEVENS,) if sevens else ()))  # fmt: skip
        return [int(decl) for decl in found]

    def __str__(self) -> str:
        """``straight``, or what is otherwise: ``all_pass=force,nello=own``."""
        default, own = encode(RuleSet()), encode(self)
        changed = [f"{key}={_word(own[key])}" for key in own if own[key] != default[key]]
        return ",".join(changed) or "straight"

    @classmethod
    def from_text(cls, text: str) -> RuleSet:
        """What `str` wrote. SettingError for anything else."""
        if text == "straight":
            return cls()
        return decode(cls, dict(_settings(text)), "the rule set")


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _settings(text: str) -> Iterator[tuple[str, object]]:
    kinds = {found.name: type(found.default) for found in fields(RuleSet)}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise SettingError(
                f"{part[:40]!r} is no setting of a rule set: expected name=value, or straight"
            )
        kind = kinds.get(key)
        if kind is bool and value in ("true", "false"):
            yield key, value == "true"
        elif kind is int and value.isascii() and value.isdigit() and len(value) < 10:
            yield key, int(value)
        else:
            yield key, value

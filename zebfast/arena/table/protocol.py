"""The line protocol: what a seat knows and is asked as a JSON object, and its answer.

One line is one object. Dominoes are ``[high, low]``, a call is a number (0 a pass, 42 m for m
marks) or a name (``"plunge-4"``), a declaration an id or, of a house contract, its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zebfast.arena.io.json_lines import FieldReader, RecordingError
from zebfast.rules import (
    ALL_DECLARATIONS,
    DOMINOES,
    HAND_SIZE,
    N_ALL_DECLARATIONS,
    N_DECLARATIONS,
    N_PLIES,
    N_SEATS,
    TOTAL_POINTS,
    RuleSet,
    SeatView,
    call_name,
    call_of,
    contract_of,
    domino_id,
)
from zebfast.system.settings import SettingError

VERSION = 1
MAX_LINE_BYTES = 1 << 20
#: What each phase asks for, and the key of its answer.
REQUESTS = {"call": "bid", "declare": "declare", "play": "play"}
ANSWERS = {"call": "bid", "declare": "decl", "play": "play"}
_PHASES = {request: phase for phase, request in REQUESTS.items()}
_MOST = 1 << 20  # of hands and marks that a table may name


class ProtocolError(ValueError):
    """A line that is no request or answer; one sentence."""


def domino_pair(domino: int) -> list[int]:
    """``[6, 4]``."""
    return list(DOMINOES[domino])


def call_value(call: int) -> int | str:
    """A call as the protocol has it."""
    return call_name(call) if contract_of(call) else call


def declaration_value(decl: int) -> int | str:
    """A declaration as the protocol has it."""
    return decl if decl < N_DECLARATIONS else ALL_DECLARATIONS[decl]


def answer_value(phase: str, value: int) -> Any:
    """What a player chose, as its answer has it."""
    written = {"call": call_value, "declare": declaration_value, "play": domino_pair}
    return written[phase](value)


def rules_value(rule_set: RuleSet) -> dict[str, Any]:
    """The rules as requests have them; ``text`` says all of them."""
    contracts = ["straight"] + (["nello"] if rule_set.nello != "off" else [])
    contracts += [name for name in ("plunge", "splash", "sevens") if getattr(rule_set, name)]
    return {
        "allpass": rule_set.all_pass,
        "auction": rule_set.auction,
        "contracts": contracts,
        "text": str(rule_set),
    }


def request_of(view: SeatView, game: str) -> dict[str, Any]:
    """The question to the seat of the view, which is the one to act."""
    request: dict[str, Any] = {
        "v": VERSION, "type": REQUESTS[view.phase], "game": game, "hand_no": view.hand_number,
        "dealer": view.shaker, "seat": view.seat, "marks": list(view.marks),
        "target": view.rule_set.target, "rules": rules_value(view.rule_set),
        "hand": [domino_pair(domino) for domino in view.hand],
        "bids": [[seat, call_value(call)] for seat, call in view.calls],
        "legal": [answer_value(view.phase, value) for value in view.legal],
    }  # fmt: skip
    if view.phase != "call":
        request |= {"bidder": view.bidder, "bid": call_value(view.bid)}
    if view.phase == "play" and view.decl is not None:
        request |= {
            "dealt": [domino_pair(domino) for domino in view.dealt],
            "decl": declaration_value(view.decl),
            "plays": [[seat, domino_pair(domino)] for seat, domino in view.plays],
            "leader": view.plays[-len(view.trick)][0] if view.trick else view.seat,
            "points": list(view.points),
        }
    return request


@dataclass(frozen=True)
class Request:
    """A question as it was read: its kind, the table's words for the game, and what is known."""

    kind: str
    game: str
    view: SeatView | None  # None for hello and notifications


def read_request(request: Mapping[str, Any]) -> Request:
    """What a table asks. Raises ProtocolError, one sentence that says what is wrong with it."""
    record = dict(request)
    kind, version = record.get("type"), record.get("v")
    if version != VERSION:
        raise ProtocolError(f"the request has v {version!r}; expected {VERSION}")
    if not isinstance(kind, str):
        raise ProtocolError("the request has no type")
    game = str(record.get("game", ""))[:80]
    if kind not in _PHASES:
        return Request(kind, game, None)
    try:
        view = _read_view(record, _PHASES[kind], FieldReader(f"the {kind} request"))
    except (RecordingError, SettingError, ValueError) as error:
        raise ProtocolError(str(error).rstrip(".")) from error
    return Request(kind, game, view)


def _read_view(record: dict[str, Any], phase: str, reader: FieldReader) -> SeatView:
    seat = reader.integer(record, "seat", 0, N_SEATS - 1)
    marks = reader.integers(reader.items(record, "marks", 2), "marks", 0, _MOST)
    calls = [
        (reader.integers([pair[0]], "bids", 0, N_SEATS - 1)[0], _read_call(pair[1], reader))
        for pair in _pairs(record, "bids", reader)
    ]
    hand = _read_dominoes(reader.items(record, "hand", None), "hand", reader)
    bidder = reader.integer(record, "bidder", 0, N_SEATS - 1) if phase != "call" else None
    bid = max((call for _, call in calls), default=0)
    view = SeatView(
        seat=seat, rule_set=_read_rules(record, reader), marks=(marks[0], marks[1]), results=(),
        hand_number=reader.integer(record, "hand_no", 1, _MOST),
        shaker=reader.integer(record, "dealer", 0, N_SEATS - 1), phase=phase, to_act=seat,
        dealt=hand, hand=hand, calls=tuple(calls), bid=bid, bidder=bidder,
        declarer=seat if phase == "declare" else bidder, decl=None, plays=(), trick=(),
        points=(0, 0),
        legal=tuple(read_value(phase, value, reader) for value in
                    reader.items(record, "legal", None)),
    )  # fmt: skip
    if not view.legal:
        raise reader.error("has no legal answer in 'legal'")
    return _with_plays(view, record, reader) if phase == "play" else view


def _with_plays(view: SeatView, record: dict[str, Any], reader: FieldReader) -> SeatView:
    """The view with what lies open of the play."""
    plays = tuple(
        (reader.integers([pair[0]], "plays", 0, N_SEATS - 1)[0],
         _read_domino(pair[1], "plays", reader))
        for pair in _pairs(record, "plays", reader)
    )  # fmt: skip
    if len(plays) >= N_PLIES:
        raise reader.error(f"has {len(plays)} plays: the hand is over")
    decl = read_value("declare", record.get("decl"), reader)
    size = N_SEATS - 1 if N_DECLARATIONS <= decl < N_ALL_DECLARATIONS - 1 else N_SEATS
    points = reader.integers(reader.items(record, "points", 2), "points", 0, TOTAL_POINTS)
    dealt = _read_dominoes(reader.items(record, "dealt", HAND_SIZE), "dealt", reader)
    if not set(view.hand) <= set(dealt):
        raise reader.error("has a domino in 'hand' that is not in 'dealt'")
    return replace(
        view,
        dealt=dealt,
        bid=_read_call(record.get("bid"), reader),
        decl=decl,
        plays=plays,
        trick=tuple(domino for _, domino in plays[len(plays) // size * size :]),
        points=(points[0], points[1]),
    )


def _read_rules(record: dict[str, Any], reader: FieldReader) -> RuleSet:
    rules = record.get("rules")
    if not isinstance(rules, dict):
        raise reader.error("has no object 'rules'")
    target = reader.integer(record, "target", 1, 1000)
    if isinstance(rules.get("text"), str):
        return replace(RuleSet.from_text(rules["text"]), target=target)
    contracts = rules.get("contracts", [])
    named = contracts if isinstance(contracts, list) else []
    return RuleSet(
        target=target,
        all_pass=rules.get("allpass", "reshake"),
        auction=rules.get("auction", "full"),
        nello="any" if "nello" in named else "off",
        plunge=4 if "plunge" in named else 0,
        splash=2 if "splash" in named else 0,
        sevens=1 if "sevens" in named else 0,
    )


def _pairs(record: dict[str, Any], key: str, reader: FieldReader) -> list[Sequence[Any]]:
    found = reader.items(record, key, None)
    if any(not isinstance(pair, list) or len(pair) != 2 for pair in found):
        raise reader.error(f"has an entry in '{key}' that is no pair")
    return found


def _read_call(value: object, reader: FieldReader) -> int:
    try:
        return call_of(value if isinstance(value, str) else call_name(_number(value)))
    except ValueError as error:
        raise reader.error(f"has a bid that is none: {error}") from error


def _number(value: object) -> int:
    if type(value) is not int:
        raise ValueError("it is neither a number nor a name")
    return value


def _read_domino(value: object, key: str, reader: FieldReader) -> int:
    if not isinstance(value, list) or len(value) != 2:
        raise reader.error(f"has something in '{key}' that is no [high, low]")
    high, low = reader.integers(value, key, 0, 6)
    return domino_id(high, low)


def _read_dominoes(values: Sequence[object], key: str, reader: FieldReader) -> tuple[int, ...]:
    found = [_read_domino(value, key, reader) for value in values]
    if len(found) > HAND_SIZE or len(set(found)) != len(found):
        raise reader.error(f"has {len(found)} dominoes in '{key}', or one of them twice")
    return tuple(sorted(found))


def read_value(phase: str, value: object, reader: FieldReader) -> int:
    """A call, declaration or domino as the protocol has it. Raises RecordingError."""
    if phase == "call":
        return _read_call(value, reader)
    if phase == "play":
        return _read_domino(value, "play", reader)
    if isinstance(value, str) and value in ALL_DECLARATIONS:
        return ALL_DECLARATIONS.index(value)
    return reader.integers([value], "decl", 0, N_ALL_DECLARATIONS - 1)[0]

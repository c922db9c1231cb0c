"""The table as it stands, all hands open, as a few lines of text or as an SVG.

For people who watch an environment; no agent is shown them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zebfast.core.engine import Game
from zebfast.core.whole_game import WholeGame
from zebfast.rules import DOMINOES, call_name, domino_name

#: Where the pips of half a domino lie, in steps from its middle.
_PIPS = (
    (), ((0, 0),), ((-1, -1), (1, 1)), ((-1, -1), (0, 0), (1, 1)),
    ((-1, -1), (1, -1), (-1, 1), (1, 1)), ((-1, -1), (1, -1), (0, 0), (-1, 1), (1, 1)),
    ((-1, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (1, 1)),
)  # fmt: skip
_SIDE, _STEP, _PIP, _GAP = 22, 6, 2, 4  # of half a domino, between pips, of a pip, between dominoes
_WIDTH, _HEIGHT = 640, 400
#: Middles of the four hands and of what each seat has on the table: seat 0 sits below.
_HANDS = ((320, 350), (115, 200), (320, 80), (525, 200))
_ON_TABLE = ((320, 262), (265, 200), (320, 160), (375, 200))


def check_render_mode(mode: str | None, known: Sequence[str]) -> None:
    """Raises ValueError for a mode that is not known; None draws nothing."""
    if mode is not None and mode not in known:
        raise ValueError(f"render_mode={mode!r}: expected one of {', '.join(known)}, or None")


def heading(game: Game | WholeGame) -> str:
    """Marks, calls, declaration and points, as far as there are any."""
    parts = []
    if isinstance(game, WholeGame):
        parts.append(f"marks {game.marks[0]}-{game.marks[1]}")
        parts.append(f"hand {game.hand_number}")
        if game.calls:
            calls = ", ".join(f"seat {seat} {call_name(call)}" for seat, call in game.calls)
            parts.append(f"calls: {calls}")
    if game.decl is not None:
        parts.append(f"declared: {game.decl.label}")
    return "; ".join([*parts, f"points {game.points[0]}-{game.points[1]}"])


def acting(game: Game | WholeGame) -> int | None:
    """The seat that is to act; None when it is over."""
    if isinstance(game, WholeGame):
        return game.seat
    return None if game.over else game.to_play


def text_picture(game: Game | WholeGame) -> str:
    """Six lines; the seat that is to act has a mark before its name."""
    lines = [heading(game)]
    for seat, hand in enumerate(game.hands):
        names = " ".join(map(domino_name, hand))
        lines.append(f"{'>' if seat == acting(game) else ' '} seat {seat}: {names}".rstrip())
    return "\n".join([*lines, ("  table: " + " ".join(map(domino_name, game.trick))).rstrip()])


def svg_picture(game: Game | WholeGame) -> str:
    """A picture of 640 by 400, seat 0 at the bottom, which needs no other file."""
    on_table = [(seat, domino) for seat, domino in game.plays][len(game.plays) - len(game.trick) :]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="13">',
        f"<title>{heading(game)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#2f6d4f"/>',
        f'<text x="12" y="20" fill="#fff">{heading(game)}</text>',
    ]
    for seat, hand in enumerate(game.hands):
        x, y = _HANDS[seat]
        parts.extend(_row(hand, x, y))
        weight = "bold" if seat == acting(game) else "normal"
        parts.append(
            f'<text x="{x}" y="{y + 40}" fill="#fff" text-anchor="middle" '
            f'font-weight="{weight}">seat {seat}</text>'
        )
    for seat, domino in on_table:
        parts.extend(_row([domino], *_ON_TABLE[seat]))
    return "".join([*parts, "</svg>"])


def _row(dominoes: list[int], x: int, y: int) -> Iterable[str]:
    """Upright dominoes side by side around a middle."""
    left = x - (len(dominoes) * (_SIDE + _GAP) - _GAP) / 2
    for domino in dominoes:
        yield from _domino(domino, left, y - _SIDE)
        left += _SIDE + _GAP


def _domino(domino: int, x: float, y: float) -> Iterable[str]:
    """One domino, its higher end on top."""
    yield (
        f'<g><title>{domino_name(domino)}</title><rect x="{x:g}" y="{y:g}" width="{_SIDE}" '
        f'height="{2 * _SIDE}" rx="3" fill="#fbf7ec" stroke="#222"/>'
        f'<path d="M{x + 2:g} {y + _SIDE:g}h{_SIDE - 4}" stroke="#222"/>'
    )
    for half, pips in enumerate(DOMINOES[domino]):
        for dx, dy in _PIPS[pips]:
            cx, cy = x + _SIDE / 2 + dx * _STEP, y + _SIDE * (half + 0.5) + dy * _STEP
            yield f'<circle cx="{cx:g}" cy="{cy:g}" r="{_PIP}"/>'
    yield "</g>"

"""How a policy is asked."""

from __future__ import annotations

from dataclasses import dataclass

from zebfast.system.settings import A_DAY, check, setting

ON_ILLEGAL = ("end", "replace")


@dataclass(frozen=True)
class AskingOptions:
    """How a policy is asked, and what becomes of an answer that is not legal, or none at all."""

    compiled: bool = setting(True, "By Numba; else it runs as plain Python.")
    illegal: str = setting(
        ON_ILLEGAL[0],
        "What an answer that is not legal, an error code or an exception does: ends the match, or "
        "is counted and replaced by the lowest legal one.",
        choices=ON_ILLEGAL,
    )
    seconds: float = setting(10.0, "For one answer of a compiled policy.", above=0, most=A_DAY)

    def __post_init__(self) -> None:
        check(self)

"""The options of a player spec, `NAME=VALUE,NAME=VALUE`: read, checked, told apart in sentences."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class PlayerSpecError(ValueError):
    """A player spec that cannot be understood; the message is one sentence for the user."""


@dataclass(frozen=True)
class SpecOptions:
    """What one spec gives: `spec` is its whole text, `written` holds the values by name.

    Every method that reads an option raises PlayerSpecError for a value it does not take.
    """

    spec: str
    form: str
    written: Mapping[str, str]

    @classmethod
    def parse(cls, spec: str, rest: str, *, form: str, known: Sequence[str]) -> SpecOptions:
        """Split `rest`, all of `spec` behind its colon; every name must be among the `known`."""
        found: dict[str, str] = {}
        for part in rest.split(",") if rest else ():
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not value:
                raise PlayerSpecError(
                    f"Player {spec!r} has the option {part!r} where NAME=VALUE was expected; "
                    f"write {form}."
                )
            if name not in known:
                raise PlayerSpecError(
                    f"Player {spec!r} has the unknown option {name!r}: known options are "
                    f"{', '.join(known)}{_hint(name, known)}"
                )
            if name in found:
                raise PlayerSpecError(
                    f"Player {spec!r} gives the option {name!r} twice; give it once."
                )
            found[name] = value
        return cls(spec, form, found)

    def __contains__(self, name: str) -> bool:
        return name in self.written

    def text(self, name: str) -> str | None:
        """The option as it stands, None where it is left out."""
        return self.written.get(name)

    def source(self) -> str:
        """Where a network's weights are; "" where it is left out: the network that is shipped."""
        source = self.written.get("source", "")
        if not source and "weights_name" in self:
            raise PlayerSpecError(
                f"Player {self.spec!r} gives a weights_name but no source; add the directory of "
                "the weights as source=DIRECTORY."
            )
        if source == "hf":
            raise PlayerSpecError(
                f"Player {self.spec!r} asks for weights on the Hugging Face Hub, which this "
                "version cannot read; download them and give the file as source=FILE."
            )
        return source

    def whole(self, name: str, default: int, *, least: int, most: int, of: str) -> int:
        """A whole number of things, least to most."""
        written = self.written.get(name, str(default))
        number = int(written) if written.isascii() and written.isdigit() else -1
        if not least <= number <= most:
            raise self.unexpected(name, f"a number of {of}, {least} to {most}.")
        return number

    def number(self, name: str, default: float, *, expected: str, above: float = -1.0) -> float:
        """A finite number of at least 0, and above `above`."""
        written = self.written.get(name)
        if written is None:
            return default
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0.0 and value > above):
            raise self.unexpected(name, f"{expected}.")
        return value

    def choice(self, name: str, known: Sequence[str]) -> str:
        """One of a few words; the first is the default."""
        written = self.written.get(name, known[0])
        if written not in known:
            raise self.unexpected(name, f"{' or '.join(known)}{_hint(written, known)}")
        return written

    def switch(self, name: str) -> bool:
        """yes or no; no when left out."""
        return self.choice(name, ("no", "yes")) == "yes"

    def unexpected(self, name: str, expected: str) -> PlayerSpecError:
        """The error for a value that the option does not take."""
        return PlayerSpecError(
            f"Player {self.spec!r} has {name} {self.written[name]!r}; expected {expected}"
        )


def _hint(written: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(written, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else "."

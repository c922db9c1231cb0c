"""Are these numbers? Asked of weights before they take the place of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Leaf = TypeVar("_Leaf")


class NotFinite(ValueError):
    """Numbers that are none were to be written; one sentence. What was there before stays."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(
            f"{what} is not written, for {name!r} holds NaN or infinite numbers: what was there "
            "before is untouched"
        )


def first_non_finite(values: Any) -> str | None:
    """The name of the first array that holds NaN or infinity; None where there is none.

    ``values`` are nested mappings and lists; a name is the keys on the way, ``state.0.exp_avg``.
    For tensors: `net.torch.finite`.
    """
    import numpy as np

    def numbers(leaf: Any) -> NDArray[Any] | None:
        return leaf if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f" else None

    found = leaves(values, numbers)
    return next((name for name, each in found if not np.isfinite(each).all()), None)


def require_finite(values: Any, what: str) -> None:
    """NotFinite where an array of ``what`` holds NaN or infinity."""
    name = first_non_finite(values)
    if name is not None:
        raise NotFinite(what, name)


def leaves(
    values: Any, wanted: Callable[[Any], _Leaf | None], name: str = ""
) -> Iterator[tuple[str, _Leaf]]:
    """Every entry of nested mappings and lists for which ``wanted`` has something, and its name."""
    if isinstance(values, Mapping | list):
        entries = values.items() if isinstance(values, Mapping) else enumerate(values)
        for key, value in entries:
            yield from leaves(value, wanted, f"{name}.{key}" if name else str(key))
    elif (found := wanted(values)) is not None:
        yield name, found

"""The behaviour signature, pinned: a change states the new number in its commit message."""

from __future__ import annotations

from zebfast.selfplay.signature import signature

SIGNATURE = 793710422


def test_signature_is_pinned() -> None:
    assert signature() == SIGNATURE

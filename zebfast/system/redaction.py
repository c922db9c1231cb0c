"""Takes out of texts what may be a secret: errors of libraries quote addresses and headers."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"
_LEAST = 8  # letters; shorter values are flags and numbers, and would garble every sentence
_NAMES = r"token|key|secret|sig|signature|password|passwd|pwd|credential|authorization"
_PATTERNS = (
    # user:password@ of an address, and the token that stands there alone; git@ is nobody's
    (re.compile(r"([a-z][a-z0-9+.-]*://)(?!git@)[^/\s'\"<>@]+@", re.I), rf"\1{HIDDEN}@"),
    # ?token=... and the signatures of addresses that are signed
    (re.compile(rf"([?&;][\w-]*(?:{_NAMES})=)[^&\s'\"<>#]+", re.I), rf"\1{HIDDEN}"),
    (re.compile(r"(authorization\W{1,4}(?:\w+ +)?)[\w.~+/=-]{8,}", re.I), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Bearer +)[\w.~+/=-]{8,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\bhf_[A-Za-z0-9]{16,}"), HIDDEN),
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without the given secrets, and without what looks like one in any text."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _LEAST:
            text = text.replace(secret, HIDDEN)
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text


def has_secret(url: str) -> bool:
    """Does an address have a user, a password or a key in it?"""
    return redacted(url) != url

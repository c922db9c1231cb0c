"""What is said where a library is missing that one of the package's extras brings."""

from __future__ import annotations


def missing(library: str, extra: str, error: ImportError) -> ImportError:
    """The error in place of the library's own, one sentence that names the extra."""
    sentence = f"{library} cannot be imported ({error}): pip install 'zebfast[{extra}]'"
    return type(error)(sentence, name=error.name)

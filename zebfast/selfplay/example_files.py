"""Example files as bytes: either format, read behind one door."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from zebfast.exchange.names import MAX_EXAMPLE_FILE_BYTES, NATIVE_SUFFIX, PT_SUFFIX
from zebfast.selfplay.examples import BadExampleFile, Examples, brief, read_native
from zebfast.system.files import naming, open_plain


def read_examples(path: Path) -> Examples:
    """Read and check an example file of either format.

    Returns:
        Examples in file order (native: game by game, ply 0..27 in each; of games with play values
        the labelled decisions alone).

    Raises:
        BadExampleFile: anything about the content is not as documented.
        OSError: the file could not be read at all.
    """
    path = Path(path)
    with naming(path), open_plain(path, follow=False) as handle:
        try:
            return _read(handle, os.fstat(handle.fileno()).st_size, path.suffix)
        except BadExampleFile as error:
            raise BadExampleFile(f"example file {path.name} is refused: {error}") from error
        except OSError:
            raise
        except Exception as error:  # whatever a file makes of its readers, it is that file's fault
            raise BadExampleFile(
                f"example file {path.name} is refused: reading it failed "
                f"({type(error).__name__}: {brief(error)}); expected what a worker writes"
            ) from error


def _read(handle: BinaryIO, size: int, suffix: str) -> Examples:
    if size > MAX_EXAMPLE_FILE_BYTES:
        raise BadExampleFile(f"{size:,} bytes; expected at most {MAX_EXAMPLE_FILE_BYTES:,}")
    if suffix == NATIVE_SUFFIX:
        return read_native(handle, size)
    if suffix == PT_SUFFIX:
        from zebfast.selfplay.examples_pt import read_pt

        return read_pt(handle)
    raise BadExampleFile(f"suffix {suffix!r}; expected .safetensors or .pt")

"""Example files as bytes: either format, read behind one door."""

from __future__ import annotations

from pathlib import Path

from zebfast.exchange.names import MAX_EXAMPLE_FILE_BYTES, NATIVE_SUFFIX, PT_SUFFIX
from zebfast.selfplay.examples import BadExampleFile, Examples, read_native
from zebfast.system.files import naming


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
    with naming(path), open(path, "rb") as handle:
        data = handle.read(MAX_EXAMPLE_FILE_BYTES + 1)
    try:
        if len(data) > MAX_EXAMPLE_FILE_BYTES:
            raise BadExampleFile(f"over {MAX_EXAMPLE_FILE_BYTES} bytes; expected fewer")
        if path.suffix == NATIVE_SUFFIX:
            return read_native(data)
        if path.suffix == PT_SUFFIX:
            # Imported here so that native files can be read and written without loading torch.
            from zebfast.selfplay.examples_pt import read_pt

            return read_pt(data)
        raise BadExampleFile(f"suffix {path.suffix!r}; expected .safetensors or .pt")
    except BadExampleFile as error:
        raise BadExampleFile(f"example file {path.name} is refused: {error}") from error

"""Small saved training states, as a learner would leave them."""

from __future__ import annotations

from pathlib import Path

from zebfast.exchange.mirror.manifest import MANIFEST, Manifest
from zebfast.system.files import file_mark


def make_state(home: Path | str, step: int, lineage: str = "l1") -> tuple[Path, Manifest]:
    """A complete state below ``home`` whose content follows from the arguments."""
    directory = Path(home) / f"state-{step}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "training.ckpt").write_bytes(f"{home} {step}".encode() * 100)
    (directory / "metrics.jsonl").write_bytes(b"{}" * step)
    files = {name: file_mark(directory / name) for name in ("training.ckpt", "metrics.jsonl")}
    manifest = Manifest(step, 10 * step, lineage, "run-1", "1", 1000.0 + step, files)
    (directory / MANIFEST).write_bytes(manifest.to_bytes())
    return directory, manifest

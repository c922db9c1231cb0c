"""The names an experiment's files go by; several namespaces share one place without touching."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DEFAULT = "model"


@dataclass(frozen=True)
class Namespace:
    """File names of one lineage. ``name`` None is the nameless namespace at the root.

    Build it with ``Namespace.parse``, which checks the name.
    """

    name: str | None = None

    @classmethod
    def parse(cls, weights_name: str | None) -> Namespace:
        """Namespace of a ``--weights-name``; none, empty and ``model`` are the nameless one.

        Raises:
            ValueError: one sentence, when the name cannot be a file name.
        """
        if not weights_name or weights_name == _DEFAULT:
            return cls(None)
        if not _NAME.fullmatch(weights_name) or weights_name.endswith((".pt", ".json")):
            raise ValueError(
                f"weights name {weights_name!r} cannot be used: expected letters, digits, dots, "
                "dashes and underscores, starting with a letter or digit, without .pt"
            )
        return cls(weights_name)

    @property
    def stem(self) -> str:
        """What the weights file is called, without ``.pt``."""
        return self.name or _DEFAULT

    @property
    def weights_file(self) -> str:
        return f"{self.stem}.pt"

    @property
    def config_file(self) -> str:
        return "config.json" if self.name is None else f"{self.name}-config.json"

    @property
    def state_file(self) -> str:
        return "training_state.json" if self.name is None else f"{self.name}-state.json"

    @property
    def checkpoint_file(self) -> str:
        """The learner's own training state; not ``.pt``, so that it is no namespace's weights."""
        return f"{self.stem}.ckpt"

    @property
    def metrics_file(self) -> str:
        return "metrics.jsonl" if self.name is None else f"{self.name}-metrics.jsonl"

    @property
    def lock_file(self) -> str:
        return f".{self.stem}.learner.lock"

    @property
    def examples_prefix(self) -> str:
        """Folder of the example files inside the examples repository; empty for the root."""
        return self.name or ""

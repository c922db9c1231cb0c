"""Commands on fleets that rent at RunPod what Vast.ai does not have, with both real clients."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleets import Rented
from runpod_account import account
from runs import publish

from tests.servers.runpod import KEY as RUNPOD_KEY
from tests.servers.vast import KEY, VastServer
from zebfast.cli.fleet import up as fleet_up

pytest.importorskip("vastai", reason="vastai is not installed")
pytest.importorskip("runpod", reason="runpod is not installed")


def test_what_one_does_not_have_the_next_one_rents_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_up, "_refuse_unreachable", lambda *_: None)
    publish(root / "run", step=3, name="first")
    monkeypatch.setenv("HOME", str(root))
    with VastServer(n_offers=1) as vast, account(monkeypatch) as runpod:
        for name, value in {"VAST_URL": vast.url, "VAST_API_KEY": KEY,
                            "RUNPOD_API_KEY": RUNPOD_KEY}.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        rented = Rented(root, vast)
        both = ("--provider", "vast", "--provider", "runpod")
        done = rented.run("up", "-n", "3", "--max-dph", "0.2", "--yes", *both)
        assert done.exit_code == 0, done.output
        assert "vast has 1 that fit" in done.stdout
        assert "3 machines: $" in done.stdout
        assert (len(vast.labels()), len(runpod.pods)) == (1, 2)
        found = rented.status()
        assert sorted(row["provider"] for row in found["rows"]) == ["runpod", "runpod", "vast"]
        assert rented.run("down", "--yes").exit_code == 0
        assert (vast.labels(), runpod.pods) == ([], {})

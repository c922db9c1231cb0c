"""A whole evening of a rented fleet over a loopback Hub, with local processes for the machines.

Warm start, stage 1, two self-play workers and one of the eval-aux stream, a host that hangs, a
worker that crashes, a learner that is restarted, and the tear-down: with the commands a user types.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fleet_site import LEARNER, PLACES, PLAYING, SELF_PLAY, FleetSite, fleet_site, publish_earlier
from hub import TOKEN

NAME = "lb-v-eq-3740"
STEP, GAMES = 3740, 1_700_608
QUICKLY = ("--provider", "local", "--upload-interval", "2", "--setup-minutes", "4", "--yes")


@pytest.fixture
def evening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetSite]:
    """A machine with an account, and a Hub with the weights to start from."""
    root = tmp_path_factory.mktemp("evening")
    with fleet_site(root, NAME) as site:
        publish_earlier(site.hub, root / "publisher", step=STEP, games=GAMES)
        yield site


@pytest.mark.slow
def test_an_evening(evening: FleetSite) -> None:
    # Warm start in a namespace of its own; no machine is rented before it has weights.
    evening.zebfast("experiment", "create", NAME, *PLACES, "--from-hub", "me/zeb",
                    "--weights-name", "large-belief", "--belief-head", "--no-wandb",
                    "--", *LEARNER)  # fmt: skip
    with pytest.raises(AssertionError, match="weights"):
        evening.fleet("up", "-n", "2", *QUICKLY, "--", *SELF_PLAY)
    evening.learn("evalaux")
    evening.wait_for("learner", "^Bootstrapped")

    # Costs first, then two fleets and what looks after them.
    offer = evening.fleet("up", "-n", "2", *QUICKLY, "--dry-run", "--", *SELF_PLAY)
    assert "$0.00" in offer
    evening.fleet("up", "--role", "selfplay", "-n", "2", "--stall-minutes", "0.6", *QUICKLY,
                  "--", *SELF_PLAY)  # fmt: skip
    evening.fleet("up", "--role", "evalaux", "-n", "1", *QUICKLY,
                  "--", *PLAYING, "--n-samples", "4")  # fmt: skip
    evening.monitor()
    stuck = min(evening.until_play("selfplay", 2))
    [critic] = evening.until_play("evalaux", 1)
    mixed = r"^Cycle.* mix\(self/eval\)=[\d.]+/0\.0[1-9], .*$"
    assert "eval_aux_policy_w=0," in evening.wait_for("learner", mixed)[0]

    lines = [line for each in evening.machines() for line in each.command_lines()]
    assert len(lines) >= 6  # supervisor and worker of each
    assert not [line for line in lines if TOKEN in line]

    # A host hangs: no process ends, but no work comes; it is replaced.
    evening.machine(stuck).freeze()
    evening.wait_for("monitor", f"destroy {stuck} .*has done no work")
    evening.until_play("selfplay", 2, without=frozenset([stuck]))

    # A worker crashes: its supervisor starts it again, on the same machine.
    evening.machine(critic).crash_worker()
    evening.until("a restart", lambda: "restart 1 in" in evening.machine(critic).log)
    batches = evening.machine(critic).log.count("] batch ")
    evening.until("work after it", lambda: evening.machine(critic).log.count("] batch ") > batches)

    # The learner is restarted and goes on where it was.
    evening.end("learner")
    step = evening.status()["published_step"]
    since = evening.learn("evalaux")
    cycle = evening.wait_for("learner", r"^Cycle +(\d+):", since=since)
    assert int(cycle[1]) == step + 1

    # Tear-down: no process is left, nothing was lost, and nothing is counted twice.
    evening.fleet("down", "--yes")
    evening.processes["monitor"].wait(60)
    assert not any(evening.rows(role) for role in ("selfplay", "evalaux"))
    assert not any(machine.processes() for machine in evening.machines())
    evening.end("learner")
    end = evening.wait_for("learner", r"^Stopped after .*\(([\d,]+) games\)", since=since)
    assert int(end[1].replace(",", "")) == evening.games_on_the_hub()
    assert "Traceback" not in evening.log("learner").read_text()
    assert "Traceback" not in evening.log("monitor").read_text()
    assert not list(evening.root.glob("cache/**/bad/*"))

    # The token is in no file of all this: no log, no state, no cache, no start script.
    files = [path for path in evening.root.rglob("*") if path.is_file()]
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]

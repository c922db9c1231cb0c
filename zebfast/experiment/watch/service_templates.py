"""What makes a machine watch an experiment by itself: a crontab line, systemd units, a workflow."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import zebfast
from zebfast.exchange import ExchangeError
from zebfast.experiment.commands import stage_flags
from zebfast.experiment.experiment import Experiment
from zebfast.selfplay.producer_kinds import Role

MINUTES = 5  # between two looks of cron and systemd
_CRON = """\
# Looks every @minutes@ minutes; the log keeps what it found. A line ZEB_NOTIFY_URL=https://...
# above this one has changes posted there.
*/@minutes@ * * * * cd @directory@ && @watch@ >> @log@ 2>&1
"""

_SYSTEMD = """\
# Pipe this into sh, or copy the parts. Tokens (HF_TOKEN=..., ZEB_NOTIFY_URL=...) go into
# ~/.config/zebfast.env, one a line; chmod 600 it. For units that outlive your login:
# loginctl enable-linger
units="${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user"
mkdir -p "$units"

cat > "$units/zebfast-learn-@name@.service" <<'END'
[Unit]
Description=zebfast learner of experiment @name@
StartLimitIntervalSec=1h
StartLimitBurst=10

[Service]
WorkingDirectory=@directory@
EnvironmentFile=-%h/.config/zebfast.env
ExecStart=@learn@
Restart=on-failure
RestartSec=30
# Wrong usage stays wrong.
RestartPreventExitStatus=2
KillMode=mixed
TimeoutStopSec=120

[Install]
WantedBy=default.target
END

cat > "$units/zebfast-watch-@name@.service" <<'END'
[Unit]
Description=one look at zebfast experiment @name@

[Service]
Type=oneshot
WorkingDirectory=@directory@
EnvironmentFile=-%h/.config/zebfast.env
ExecStart=@watch@
TimeoutStartSec=30min
END

cat > "$units/zebfast-watch-@name@.timer" <<'END'
[Unit]
Description=looks at zebfast experiment @name@

[Timer]
OnBootSec=@minutes@min
OnUnitInactiveSec=@minutes@min

[Install]
WantedBy=timers.target
END

echo "Now: systemctl --user daemon-reload &&" \\
     "systemctl --user enable --now zebfast-learn-@name@.service zebfast-watch-@name@.timer" >&2
"""

_GITHUB = """\
# .github/workflows/watch-@name@.yml: looks at experiment @name@ by what is published, from outside.
# @experiment@ must be in the repository. A job that finds it failed or stalled fails itself.
# The secrets that are not set stay empty; VAST_API_KEY and RUNPOD_API_KEY are for --act replenish.
name: watch @name@

on:
  schedule:
    - cron: "*/10 * * * *"
  workflow_dispatch:

permissions:
  contents: read

concurrency:
  group: watch-@name@
  cancel-in-progress: false

env:
  # A version, or the address of a wheel; or . where this is the repository of zebfast itself.
  PACKAGE: "zebfast[@extras@]==@version@"

jobs:
  look:
    runs-on: ubuntu-latest
    timeout-minutes: 15
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
          cache: pip
          cache-dependency-path: .github/workflows/watch-@name@.yml
      - name: Install
        run: pip install "$PACKAGE"
      - name: What the last look remembered
        uses: actions/cache/restore@v4
        with:
          path: |
            @directory@/watch.json
            @directory@/fleet
          key: watch-@name@-${{ github.run_id }}
          restore-keys: watch-@name@-
      - name: Look
        run: @watch@
        env:
          HF_TOKEN: ${{ secrets.HF_TOKEN }}
          WANDB_API_KEY: ${{ secrets.WANDB_API_KEY }}
          VAST_API_KEY: ${{ secrets.VAST_API_KEY }}
          RUNPOD_API_KEY: ${{ secrets.RUNPOD_API_KEY }}
          ZEB_NOTIFY_URL: ${{ secrets.ZEB_NOTIFY_URL }}
      - name: Remember this look
        if: always()
        uses: actions/cache/save@v4
        with:
          path: |
            @directory@/watch.json
            @directory@/fleet
          key: watch-@name@-${{ github.run_id }}
"""


class CannotWatchThere(ExchangeError):
    """One sentence: why such a job could not see the experiment."""


@dataclass(frozen=True)
class Service:
    """What is to be started, and where.

    Attributes:
        program: the words that start ``zebfast`` on this machine.
        directory: absolute; what relative paths in the experiment's file start from.
        flags: of the watcher, besides --once.
    """

    experiment: Experiment
    stage: Role
    program: Sequence[str]
    directory: Path
    flags: Sequence[str]

    def watch(self, *more: str) -> list[str]:
        return self._verb("watch", "--once", *self.flags, *more)

    def learn(self) -> list[str]:
        return self._verb("learn", *stage_flags(self.stage))

    def _verb(self, verb: str, *flags: str) -> list[str]:
        where = ("--experiments-dir", str(self.experiment.directory.parent))
        return ["experiment", verb, self.experiment.name, *flags, *where]


def cron_line(service: Service) -> str:
    """A line for ``crontab -e``, with a comment."""
    log = service.experiment.directory / "watch.log"
    words = {"directory": [str(service.directory)], "watch": [*service.program, *service.watch()],
             "log": [str(log)]}  # fmt: skip
    # In a crontab, a bare % is the end of the line.
    texts = {name: shlex.join(each).replace("%", "\\%") for name, each in words.items()}
    return _fill(_CRON, minutes=str(MINUTES), **texts)


def systemd_units(service: Service) -> str:
    """A shell script that writes three units: the learner, a look at it, and the timer of that."""
    name = service.experiment.name
    restart = f"systemctl --user restart zebfast-learn-{name}.service"
    acts = ("--act", "restart-learner", "--restart-command", restart)
    return _fill(
        _SYSTEMD,
        name=name,
        minutes=str(MINUTES),
        directory=str(service.directory).replace("%", "%%"),
        learn=_unit_words([*service.program, *service.learn()]),
        watch=_unit_words([*service.program, *service.watch(*acts)]),
    )


def github_workflow(service: Service) -> str:
    """A workflow that looks every ten minutes. Raises CannotWatchThere."""
    experiment = service.experiment
    for place in (experiment.weights, experiment.examples):
        if place.kind == "directory":
            raise CannotWatchThere(
                f"{experiment.name!r} is in {place}, which no GitHub job can see: print cron or "
                "systemd, or create the experiment over the Hub"
            )
    if experiment.directory.is_absolute():
        raise CannotWatchThere(
            f"{experiment.directory} is not below this directory: run this in the repository, with "
            "--experiments-dir below it"
        )
    extras = ["hub"]
    extras += ["wandb"] if "--wandb" in service.flags else []
    extras += ["fleet"] if "replenish" in service.flags else []
    return _fill(
        _GITHUB,
        name=experiment.name,
        experiment=str(experiment.path),
        directory=str(experiment.directory),
        extras=",".join(extras),
        version=zebfast.__version__,
        watch=shlex.join(["zebfast", *service.watch()]),
    )


def _fill(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _unit_words(words: Sequence[str]) -> str:
    """A command as systemd reads it: quotes of its own, and % and $ mean something."""
    escaped = (w.replace("\\", "\\\\").replace('"', '\\"') for w in words)
    plain = (w.replace("%", "%%").replace("$", "$$") for w in escaped)
    return " ".join(f'"{w}"' if not w or set(w) & set(" \t'\"\\;") else w for w in plain)

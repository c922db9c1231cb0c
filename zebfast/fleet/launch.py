"""What a rented machine is told to do once it is up: install, check itself, keep a worker going.

The script is short because providers limit its length, and holds no secret because they show it:
whatever needs a plan of its own is part of the package that it installs.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

from zebfast.exchange import Place
from zebfast.experiment.commands import worker_flags
from zebfast.experiment.experiment import Experiment
from zebfast.fleet.model import Spec
from zebfast.fleet.provider import ProviderError
from zebfast.selfplay.producer_kinds import RECIPE

_SAVED = "no GPU here: installing without torch, which leaves out 0.9 GB and more"
INSTALLED = "installed"  # as a package: what is on the machine already
MAX_LETTERS = 4000
#: Tells by an event in the log that a command before the last has failed (see health.failure_in).
_TRAP = (
    "trap 'c=$?; [ $c -eq 0 ] || "
    'echo "{\\"zebfast\\": 1, \\"event\\": \\"ended\\", \\"program\\": \\"start\\", '
    '\\"code\\": $c}"'
    "' EXIT"
)
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[(?P<extras>[^\]]*)\])?(?P<rest>.*)")


def start_command(
    spec: Spec,
    experiment: Experiment,
    worker_id: str,
    *,
    index: str | None = None,
    alive_file: str | None = None,
) -> str:
    """A POSIX shell script for the machine of one worker; it ends with the worker.

    Args:
        index: variable of the machine that tells the workers apart which run the same script; it
            becomes the end of their ids.
        alive_file: touched there after every batch; for probes.

    Raises:
        ProviderError: it would be longer than MAX_LETTERS.
    """
    near = replace(
        experiment, weights=_anywhere(experiment.weights), examples=_anywhere(experiment.examples)
    )
    flags = [
        *worker_flags(near, spec.role, worker_id),
        *("--upload-interval", f"{spec.upload_interval:g}"),
        *spec.worker_args,
    ]
    words = [shlex.quote(flag) for flag in flags]
    if index is not None:
        words[flags.index("--worker-id") + 1] = f'{worker_id}-"${index}"'
    alive = "" if alive_file is None else f"--alive-file {alive_file} "
    install = [] if spec.package == INSTALLED else _install(spec, experiment)
    script = "\n".join(
        [
            "set -e",
            _TRAP,
            "export ZEB_LOG_EVENTS=1",
            *install,
            # The exact teacher of a recipe needs no GPU.
            "zebfast host check" + (" --allow-cpu" if spec.role == RECIPE.role else ""),
            f"exec zebfast host run {alive}-- {' '.join(words)}",
        ]
    )
    if len(script) > MAX_LETTERS:
        raise ProviderError(
            f"the start command of {worker_id} has {len(script):,} letters: expected at most "
            f"{MAX_LETTERS:,}; give the workers fewer flags"
        )
    return script


def for_task(spec: Spec) -> Spec:
    """As a task of a cluster has it: as many threads as CPUs are given, be that enforced or not."""
    if any(flag.partition("=")[0] == "--threads" for flag in spec.worker_args):
        return spec
    return replace(spec, worker_args=("--threads", str(spec.task.cpus or 1), *spec.worker_args))


def _install(spec: Spec, experiment: Experiment) -> list[str]:
    """Lines that install the package: with torch where there is a GPU or a v1 network wants it."""
    extras = _extras(experiment)
    with_torch = shlex.quote(requirement(spec.package, (*extras, "train")))
    choice = [f"p={with_torch}"]
    if experiment.lineage.get("tokenizer") == "v2":
        small = shlex.quote(requirement(spec.package, extras))
        say = f"echo {shlex.quote(_SAVED)}"
        choice.append(f"nvidia-smi -L >/dev/null 2>&1 || {{ p={small}; {say}; }}")
    # Container images with a Python of their distribution's refuse pip without that variable; a
    # machine that has just come up may have no network yet. After what pip did not expect (an
    # answer that breaks off) it ends with 2, which here is for flags that a worker refuses.
    pip = 'PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --quiet --no-input "$p"'
    return [*choice, f"{pip} || {{ sleep 15; {pip}; }} || exit 1"]


def launch_env(experiment: Experiment, *, hf_token: str | None) -> dict[str, str]:
    """Variables of the machine: the token alone, and only where a place on the Hub needs it."""
    if hf_token is None or not _extras(experiment):
        return {}
    return {"HF_TOKEN": hf_token}


def requirement(package: str, extras: tuple[str, ...]) -> str:
    """What pip is asked for: a version, URL or file with the extras that the experiment needs."""
    if "://" in package:
        return f"zebfast{_brackets(extras)} @ {package}"
    if "/" in package or package.endswith((".whl", ".tar.gz")):
        return f"{Path(package).expanduser().resolve()}{_brackets(extras)}"
    match = _REQUIREMENT.fullmatch(package)
    if match is None:
        return package  # pip says what is wrong with it
    given = tuple(filter(None, (match["extras"] or "").split(",")))
    return f"{match['name']}{_brackets((*given, *extras))}{match['rest']}"


def _brackets(extras: tuple[str, ...]) -> str:
    unique = dict.fromkeys(extra.strip() for extra in extras)
    return f"[{','.join(unique)}]" if unique else ""


def _extras(experiment: Experiment) -> tuple[str, ...]:
    places = (experiment.weights, experiment.examples)
    return ("hub",) if any(place.path is None for place in places) else ()


def _anywhere(place: Place) -> Place:
    """The same place for a program that is started in another directory."""
    return place if place.path is None else Place.directory(place.path.expanduser().resolve())

"""Wheels as users get them: built, audited, installed in clean environments, played: `make wheels`.

    python tools/wheels.py [--python PYTHON ...] [--kept FOLDER] [--slug NAME]

The source archive is made twice and must be the same bytes. Then, for each Python: a wheel from
that archive alone, no larger than it may be, with no symbol that a manylinux system lacks; a folder
with it and what it depends on; an environment with nothing in it, where pip installs from that
folder without the network and the shipped network plays a game. From pip's start to the end of that
game may take 15 seconds by the clock, on a machine that does nothing else; the seconds of processor
beside it are what other programs do not change. A PYTHON may be a command of several words, for
a Python of another system: "chroot /srv/trixie python3". With --slug the outcome is kept in
bench/records/wheels/. What was built is kept in FOLDER, and what is there of the same commit is not
built again, so that a machine need be quiet for no longer than installing takes.

Needs the package registry while it builds and fills the folder, and auditwheel.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from generated import ROOT
from provenance import origin

LARGEST_MB = 8.0
LONGEST_SECONDS = 15.0
PLAYS = ROOT / "tests" / "package" / "installed.py"
NEWEST_GLIBC = (2, 28)  # of the image that releases are built in
_PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet"]


class Failed(Exception):
    """What does not hold, in a sentence."""


def run(command: list[str], cwd: Path, **environment: str) -> str:
    """What the command writes; `Failed`, with all it said, where it fails."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ZEBFAST_"))}
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={**kept, **environment}
    )
    if done.returncode:
        raise Failed(f"{shlex.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def source_archive(work: Path) -> Path:
    """Made twice, from two copies of what is committed: the same bytes."""
    committed = run(["git", "log", "-1", "--format=%ct"], ROOT).strip()
    made = []
    for copy in ("one", "two"):
        tree = work / copy / "tree"
        tree.mkdir(parents=True)
        run(["git", "archive", "--output", f"{tree}.tar", "HEAD"], ROOT)
        run(["tar", "-xf", f"{tree}.tar"], tree)
        build = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", ".."]
        run(build, tree, SOURCE_DATE_EPOCH=committed)
        [archive] = (work / copy).glob("*.tar.gz")
        made.append(archive)
    digests = {hashlib.sha256(archive.read_bytes()).hexdigest() for archive in made}
    if len(digests) > 1:
        raise Failed(f"two source archives of one commit differ: {made[0]}, {made[1]}")
    return made[0]


def audited(wheel: Path) -> str:
    """The oldest manylinux system that has all that the wheel's modules ask for.

    By all of it: auditwheel also tells what the symbols alone ask for, which may be older.
    """
    told = run([sys.executable, "-m", "auditwheel", "show", "--json", str(wheel)], wheel.parent)
    tag = json.loads(told)["overall_tag"]
    found = re.fullmatch(r"manylinux_(\d+)_(\d+)_\w+", tag)
    if found is None:
        raise Failed(f"{wheel.name} is for no manylinux system, but for {tag}: {told}")
    glibc = int(found[1]), int(found[2])
    if glibc > NEWEST_GLIBC:
        raise Failed(f"{wheel.name} asks for glibc {glibc[0]}.{glibc[1]}")
    return f"manylinux_{glibc[0]}_{glibc[1]}"


def checked(python: str, archive: Path, work: Path, kept: Path | None) -> dict[str, Any]:
    """One Python: what its wheel is, and what happened in an environment with nothing in it.

    kept: where the wheels of this archive are, or go to.
    """
    words = shlex.split(python)
    # The same path for a Python of another root, where this one is `seen`.
    seen = Path(words[1]) / work.relative_to("/") if words[0] == "chroot" else work
    seen.mkdir(parents=True)
    try:
        shutil.copy(archive, seen)
        shutil.copy(PLAYS, seen)
        own = kept and kept / re.sub(r"\W+", "-", python)
        if own is not None and own.is_dir():
            shutil.copytree(own, seen / "folder")
        else:
            build(words, work / archive.name, work)
        [wheel] = (seen / "folder").glob("zebfast-*.whl")
        if (megabytes := wheel.stat().st_size / 1e6) > LARGEST_MB:
            raise Failed(f"{wheel.name} has {megabytes:.1f} MB, more than {LARGEST_MB}")
        if own is not None and not own.is_dir():
            shutil.copytree(seen / "folder", own)
        return {
            "wheel": wheel.name,
            "megabytes": round(wheel.stat().st_size / 1e6, 2),
            "audited": audited(wheel),
            **installed(words, work),
        }
    finally:
        shutil.rmtree(seen)


def build(words: list[str], archive: Path, work: Path) -> None:
    """The wheel, in a folder of `work` together with those that it needs."""
    run([*words, "-m", "venv", f"{work}/tools"], Path("/"))
    pip = [*words[:-1], f"{work}/tools/bin/python", *_PIP]
    folder = f"{work}/folder"
    run([*pip, "wheel", "--wheel-dir", folder, str(archive)], Path("/"))


def installed(words: list[str], work: Path) -> dict[str, Any]:
    """From pip's start in an empty environment to the end of a game."""
    run([*words, "-m", "venv", f"{work}/clean"], Path("/"))
    python = [*words[:-1], f"{work}/clean/bin/python"]
    offline = ["--no-index", "--find-links", f"{work}/folder"]
    began, worked = time.monotonic(), processor_seconds()
    run([*python, *_PIP, "install", *offline, "zebfast"], Path("/"))
    took, worked = time.monotonic() - began, processor_seconds() - worked
    played = json.loads(run([*python, f"{work}/{PLAYS.name}"], Path("/")))
    return {
        "install_seconds": round(took, 2),
        "install_to_game_seconds": round(took + played["seconds_to_a_game"], 2),
        "processor_seconds": round(worked + played["processor_seconds_to_a_game"], 2),
        "installed": played,
    }


def processor_seconds() -> float:
    """Of all programs that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Exit code 1, with a sentence, at the first thing that does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--python", action="append", metavar="PYTHON", dest="pythons")
    parser.add_argument("--kept", type=Path, metavar="FOLDER", help="of wheels that were built")
    parser.add_argument("--slug", help="keep the outcome under this name")
    given = parser.parse_args()
    record = origin("make wheels", sys.argv)
    record["wheels"] = []
    with tempfile.TemporaryDirectory(prefix="wheels-") as scratch:
        try:
            archive = source_archive(Path(scratch))
            record["source_archive_megabytes"] = round(archive.stat().st_size / 1e6, 2)
            kept = given.kept and given.kept / hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
            for number, python in enumerate(given.pythons or [sys.executable]):
                found = checked(python, archive, Path(scratch) / str(number), kept)
                record["wheels"].append(found)
                print(json.dumps(found), flush=True)
        except Failed as wrong:
            print(f"error: {wrong}", file=sys.stderr)
            return 1
    slow = [
        f"{found['wheel']} ({found['install_to_game_seconds']} s, of which it worked "
        f"{found['processor_seconds']})"
        for found in record["wheels"]
        if found["install_to_game_seconds"] > LONGEST_SECONDS
    ]
    if slow:
        text = f"error: more than {LONGEST_SECONDS} s to a game: {', '.join(slow)}"
        print(f"{text}; beside other programs that says little: try again without", file=sys.stderr)
        return 1
    if given.slug:
        to = ROOT / "bench" / "records" / "wheels" / f"{record['date']}-{given.slug}.json"
        to.write_text(json.dumps(record, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

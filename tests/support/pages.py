"""The pages of the documentation, read for what tests check: links, headings, commands, code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```(?P<kind>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)", re.DOTALL)
_HEADING = re.compile(r"^(#+) +(.+?) *$", re.MULTILINE)
#: How the programs are called, and the words by which `zebfast` knows each.
PROGRAMS = {
    "zebfast": (),
    "zebfast-learn": ("learn",),
    "python -m zebfast.learner": ("learn",),
    "python -m zebfast.worker": ("worker",),
    "python -m zebfast.worker.eval_aux": ("worker",),
}


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, kind: str) -> list[str]:
        """Fenced blocks of a kind: "python", or "" for what is typed into a shell."""
        found = _FENCE.finditer(self.text)
        return [match["body"] for match in found if match["kind"].strip() == kind]

    @property
    def anchors(self) -> set[str]:
        """What links can end with, as GitHub and MyST make it of the headings."""
        return {slug(match[2]) for match in _HEADING.finditer(self.prose)}

    @property
    def links(self) -> list[str]:
        """Targets of the links and pictures in the prose."""
        return [match[1] for match in _LINK.finditer(_INLINE.sub("", self.prose))]

    @property
    def code(self) -> list[str]:
        """Pieces of inline code."""
        return _INLINE.findall(self.prose)

    @property
    def command_lines(self) -> Iterator[str]:
        """Lines of its shell blocks, and inline code, that call one of our programs or make."""
        lines = [line for block in self.blocks("") for line in joined(block)]
        for line in [*lines, *self.code]:
            words = line.replace(r"\|", "|").split()
            if words and (words[0] in ("zebfast", "zebfast-learn", "make") or words[0] == "python"):
                yield " ".join(words)


def pages() -> list[Page]:
    """Every page that people read."""
    own = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    return [Page(path) for path in (*own, *sorted((ROOT / "docs").glob("*.md")))]


def slug(heading: str) -> str:
    """The anchor of a heading."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")


def joined(block: str) -> list[str]:
    """The lines of a shell block, without comments, continued ones as one."""
    lines = block.replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+# .*$|^#.*$", "", line).strip() for line in lines]


def broken_links(page: Page) -> list[str]:
    """Links of a page, within the project, to files or anchors that are not there."""
    broken = []
    for link in page.links:
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        if not target.exists() or (anchor and anchor not in Page(target).anchors):
            broken.append(f"{page.name}: {link}")
    return broken


@cache
def command_of(words: tuple[str, ...]) -> click.Command | None:
    """The command that these words call, without their flags; None where there is none."""
    from zebfast.cli.main import cli

    found: click.Command = cli
    context = click.Context(cli)
    for word in words:
        if not isinstance(found, click.Group):
            return found
        below = found.get_command(context, word)
        if below is None:
            return None
        found = below
    return found


def options_of(command: click.Command) -> set[str]:
    """Every flag of a command, spelled in every way."""
    found = {"--help"}
    for option in command.params:
        found.update(option.opts, option.secondary_opts)
    return found


def every_option() -> set[str]:
    """The flags of all commands together."""
    from zebfast.cli.main import cli

    found: set[str] = set()
    waiting: list[click.Command] = [cli]
    while waiting:
        command = waiting.pop()
        found |= options_of(command)
        if isinstance(command, click.Group):
            context = click.Context(command)
            below = (command.get_command(context, name) for name in command.list_commands(context))
            waiting += [one for one in below if one is not None]
    return found


def unknown_words(line: str) -> list[str]:
    """Subcommands and flags in a command line of ours that do not exist."""
    called = (name for name in PROGRAMS if f"{line} ".startswith(f"{name} "))
    program = max(called, key=len, default="")
    if not program:
        words = line.split()
        script = words[0] == "python" and words[1:] and words[1].endswith(".py")
        return [words[1]] if script and not (ROOT / words[1]).is_file() else []
    try:
        words = shlex.split(line.removeprefix(program))
    except ValueError:
        return [line]
    mine, theirs = split_at(words, "--")
    unknown = []
    for spelled in alternatives([*PROGRAMS[program], *mine]):
        command = command_of(tuple(word for word in spelled if not word.startswith("-")))
        if command is None:
            unknown.append(" ".join(spelled))
            continue
        known = options_of(command)
        unknown += [word for word in spelled if is_flag(word) and word.split("=")[0] not in known]
    below = options_of(command_of(("worker",))) | options_of(command_of(("learn",)))  # type: ignore[arg-type]
    return unknown + [word for word in theirs if is_flag(word) and word not in below]


def split_at(words: list[str], sign: str) -> tuple[list[str], list[str]]:
    """What stands before the first such word, and what behind it."""
    at = words.index(sign) if sign in words else len(words)
    return words[:at], words[at + 1 :]


def alternatives(words: list[str]) -> list[list[str]]:
    """`create|learn` in a command stands for either."""
    for at, word in enumerate(words[:2]):
        if "|" in word:
            return [[*words[:at], one, *words[at + 1 :]] for one in word.split("|")]
    return [words]


def is_flag(word: str) -> bool:
    return re.fullmatch(r"--[a-z][a-z0-9-]*(=.*)?|-[a-z]", word) is not None

"""Every compiled module agrees with its .pyi: the same public names, kinds and signatures.

The stub is read as source; the module is imported and inspected. A constructor's signature is not
visible to `inspect` in an extension type, so it is read from the first line of its docstring,
where Cython writes that of an `__init__`, and we that of a `__cinit__`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from extension_types import constructor_names, extension_types

CORE = Path(__file__).resolve().parents[2] / "zebfast" / "core"
MODULES = sorted(path.stem for path in CORE.glob("*.pyx"))
#: Special methods that a stub must name if, and only if, the type defines them itself.
SPECIAL = ("__len__", "__iter__", "__next__", "__call__", "__getitem__", "__copy__")
SPECIAL += ("__eq__", "__hash__")
#: What a stub calls a constructor: the first is __init__ of a .pyx, the second __cinit__.
CONSTRUCTORS = ("__init__", "__new__")

# (name, kind, has a default) of each parameter; kind as in inspect.Parameter.kind.name
Signature = list[tuple[str, str, bool]]


def stub_signature(function: ast.FunctionDef, *, bound: bool) -> Signature:
    """Parameters of a stub's function, without the first one where `bound`."""
    args = function.args
    plain = [(arg.arg, "POSITIONAL_ONLY") for arg in args.posonlyargs]
    plain += [(arg.arg, "POSITIONAL_OR_KEYWORD") for arg in args.args]
    first_default = len(plain) - len(args.defaults)
    found = [(name, kind, i >= first_default) for i, (name, kind) in enumerate(plain)]
    if args.vararg:
        found.append((args.vararg.arg, "VAR_POSITIONAL", False))
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        found.append((arg.arg, "KEYWORD_ONLY", default is not None))
    if args.kwarg:
        found.append((args.kwarg.arg, "VAR_KEYWORD", False))
    return found[1:] if bound else found


def live_signature(function: object, *, bound: bool) -> Signature:
    """Parameters of a compiled function."""
    parameters = list(inspect.signature(function).parameters.values())  # type: ignore[arg-type]
    found = [(p.name, p.kind.name, p.default is not p.empty) for p in parameters]
    return found[1:] if bound else found


def compare_constructor(where: str, stub: ast.FunctionDef, kind: type) -> list[str]:
    """Differences between a stub's constructor and the compiled one.

    Cython misplaces the bare * in the line it embeds, so that names and defaults are compared from
    there, and keyword-only parameters by passing one positional argument too many.
    """
    wanted = stub_signature(stub, bound=True)
    have = constructor_names(kind)
    if [(name, default) for name, _, default in wanted] != have:
        return [f"{where}: stub {wanted}, module {have}"]
    positional = sum(kind_name == "POSITIONAL_OR_KEYWORD" for _, kind_name, _ in wanted)
    try:
        kind(*[None] * (positional + 1))
    except TypeError as error:
        if "positional" in str(error):
            return []
    return [f"{where}: the module takes more than {positional} positional arguments"]


def own_names(module: ModuleType) -> set[str]:
    """Public functions and classes that the module itself defines."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }


def is_decorated(function: ast.FunctionDef, name: str) -> bool:
    return any(isinstance(d, ast.Name) and d.id == name for d in function.decorator_list)


def compare_class(stub: ast.ClassDef, kind: type) -> list[str]:
    """Differences between a stub's class and the compiled one."""
    members = {node.name: node for node in stub.body if isinstance(node, ast.FunctionDef)}
    attributes = {
        node.target.id
        for node in stub.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    live = {name for name in vars(kind) if not name.startswith("_") or name in SPECIAL}
    differences = [
        f"{stub.name}.{name} is missing from the stub"
        for name in sorted(live - set(members) - attributes)
    ]
    constructor = CONSTRUCTORS["__init__" not in vars(kind)]
    if constructor_names(kind) and constructor not in members:
        differences.append(f"{stub.name}.{constructor} is missing from the stub")
    for name, member in members.items():
        where = f"{stub.name}.{name}"
        value = vars(kind).get(name)
        if name == constructor:
            differences += compare_constructor(where, member, kind)
        elif value is None:
            differences.append(f"{where} is in the stub only")
        elif is_decorated(member, "property") != inspect.isgetsetdescriptor(value):
            differences.append(f"{where} is a property on one side only")
        elif not is_decorated(member, "property") and name not in SPECIAL:
            bound = not is_decorated(member, "staticmethod")
            wanted = stub_signature(member, bound=bound)
            # A class method is bound already.
            bound = bound and not is_decorated(member, "classmethod")
            have = live_signature(getattr(kind, name), bound=bound)
            if wanted != have:
                differences.append(f"{where}: stub {wanted}, module {have}")
    return differences


def compare(stub: ast.Module, module: ModuleType) -> list[str]:
    """Differences between a whole stub and a compiled module."""
    named: set[str] = set()
    differences: list[str] = []
    for node in stub.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            named.add(node.name)
            value = getattr(module, node.name, None)
            if value is None:
                differences.append(f"{node.name} is in the stub only")
            elif isinstance(node, ast.ClassDef):
                differences += compare_class(node, value)
            elif stub_signature(node, bound=False) != live_signature(value, bound=False):
                wanted, have = stub_signature(node, bound=False), inspect.signature(value)
                differences.append(f"{node.name}: stub {wanted}, module {have}")
        elif isinstance(node, ast.AnnAssign):
            name = ast.unparse(node.target)
            if not hasattr(module, name):
                differences.append(f"{name} is in the stub only")
    missing = own_names(module) - named
    return differences + [f"{name} is missing from the stub" for name in sorted(missing)]


@pytest.mark.parametrize("name", sorted(extension_types()))
def test_no_class_takes_what_it_does_not_name(name: str) -> None:
    """As Cython has it where a `__cinit__` without parameters is all there is."""
    with pytest.raises(TypeError):
        extension_types()[name](nothing_that_it_knows=1)


def test_there_are_compiled_modules() -> None:
    assert MODULES


@pytest.mark.parametrize("name", MODULES)
def test_module_agrees_with_its_stub(name: str) -> None:
    stub = CORE / f"{name}.pyi"
    assert stub.is_file(), f"zebfast/core/{name}.pyi is missing: it is the module's public contract"
    module = importlib.import_module(f"zebfast.core.{name}")
    assert compare(ast.parse(stub.read_text(encoding="utf-8")), module) == []


def described(what: object) -> bool:
    """Whether a docstring says more than the signature that Cython puts into its first line."""
    lines = (getattr(what, "__doc__", None) or "").split("\n")
    signed = callable(what) and "(" in lines[0]
    return any(line.strip() for line in (lines[1:] if signed else lines))


@pytest.mark.parametrize("name", MODULES)
def test_help_says_what_everything_does(name: str) -> None:
    """In one place: a stub repeats nothing of it."""
    module = importlib.import_module(f"zebfast.core.{name}")
    stub = ast.parse((CORE / f"{name}.pyi").read_text(encoding="utf-8"))
    plain = {ast.unparse(n.target) for n in ast.walk(stub) if isinstance(n, ast.AnnAssign)}
    missing = [] if described(module) else [name]
    for own in sorted(own_names(module)):
        value = getattr(module, own)
        members = vars(value).items() if isinstance(value, type) else []
        parts = {f"{own}.{part}": v for part, v in members if part[0] != "_" and part not in plain}
        missing += [part for part, v in ({own: value} | parts).items() if not described(v)]
    assert missing == []
    nodes = [n for n in ast.walk(stub) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    assert [n.name for n in nodes if ast.get_docstring(n)] == []


# Whether types of other packages fit is for mypy; reading them takes stubtest half a minute.
STUBTEST = """
[mypy]
follow_imports = skip
[mypy-zebfast.core.*]
follow_imports = normal
"""


@pytest.mark.lint
def test_stubtest_agrees_on_everything_else(repo_root: Path, tmp_path: Path) -> None:
    """mypy's own check: properties, defaults' values, names. It cannot see constructors."""
    pytest.importorskip("mypy", reason="mypy is not installed in this environment")
    modules = [f"zebfast.core.{name}" for name in MODULES]
    settings = tmp_path / "stubtest.ini"
    settings.write_text(STUBTEST)
    command = [sys.executable, "-m", "mypy.stubtest", "--ignore-missing-stub"]
    done = subprocess.run(
        [*command, "--ignore-disjoint-bases", "--mypy-config-file", str(settings), *modules],
        cwd=repo_root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_comparison_sees_differences() -> None:
    """The checks above must fail when a stub is wrong."""
    engine = importlib.import_module("zebfast.core.engine")
    wrong = """
class Game:
    def __init__(self, hands: object, decl: int) -> None: ...
    def play(self, tile: int) -> None: ...
    def over(self) -> bool: ...
    def nothing(self) -> None: ...
def random_games(n: int, seed: int) -> object: ...
absent: int
"""
    text = "\n".join(compare(ast.parse(wrong), engine))
    for sign in ("Game.__init__:", "Game.play:", "Game.over is a property", "Game.nothing is in"):
        assert sign in text
    for sign in ("random_games:", "absent is in the stub only", "GameBatch is missing"):
        assert sign in text

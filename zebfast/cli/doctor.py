"""`zebfast doctor`: what is installed, compiled and within limits, and what mends the rest."""

from __future__ import annotations

import importlib
import json
import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

import click

import zebfast
from zebfast.cli.run import hidden
from zebfast.system.machine import installed_version, usable_cores

# --- One line of `zebfast doctor`.


@dataclass(frozen=True)
class Check:
    """One line of the report. `fix` is the command or sentence that mends it, if anything does."""

    name: str
    ok: bool
    detail: str
    required: bool = True
    fix: str = ""

    @property
    def mark(self) -> str:
        if self.ok:
            return "ok"
        return "MISSING" if self.required else "-"


OPTIONAL = {
    "wandb": "curves on Weights & Biases (zebfast-learn --wandb)",
    "matplotlib": "pictures of the learning curves",
    "huggingface_hub": "weights and examples on the Hugging Face Hub (--repo-id owner/name)",
    "vastai": "machines of Vast.ai (zebfast fleet)",
    "runpod": "machines of RunPod (zebfast fleet --provider runpod)",
    "uvicorn": "the table in the browser (zebfast play: pip install 'zebfast[web]')",
    "numba": "players of your own, compiled (zebfast eval my.py vs zeb)",
    "s3fs": "training state on S3-compatible storage (zebfast-learn --sync-to s3://...)",
}
MIN_FREE_GIB = 2.0
MIN_OPEN_FILES = 256


def core_build() -> str:
    """Which build of the C core this is and the instruction set it runs with, or 'not built'."""
    try:
        from zebfast.core import engine
    except ImportError:
        return "not built"
    return str(engine.isa())


def _tried(name: str, look: Callable[[], str], fix: str) -> Check:
    """What ``look`` finds. A broken install can raise nearly anything: the report names it."""
    try:
        return Check(name, True, look())
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", fix=fix)


def check_core() -> Check:
    """The compiled engine must import and play."""

    def play() -> str:
        from zebfast.core import engine

        if len(engine.random_games(8, seed=42)) != 8:
            raise RuntimeError("it does not play")
        return f"plays; instruction set {engine.isa()}"

    fix = "make build   (or: pip install --force-reinstall --no-deps .)"
    return _tried("compiled core", play, fix)


def check_package(name: str) -> Check:
    """A required package must import, and its version is shown."""

    def version() -> str:
        module = importlib.import_module(name)
        return installed_version(name) or str(getattr(module, "__version__", "unknown"))

    return _tried(name, version, f"pip install --upgrade {name}")


def check_shipped() -> Check:
    """The network that comes with the package must be there and whole."""

    def origin() -> str:
        from zebfast.net import checkpoint, shipped

        facts = checkpoint.load(shipped.PATH).provenance
        return f"recipe {facts.get('recipe')}, seed {facts.get('seed')}"

    return _tried("shipped network", origin, "pip install --force-reinstall --no-deps zebfast")


def check_torch() -> Check:
    """Only training, v1 networks and GPUs need torch; one that is there must import."""
    if installed_version("torch") is None:
        detail = "not installed; for training, v1 networks and GPUs"
        return Check("torch", False, detail, required=False, fix="pip install 'zebfast[train]'")
    return check_package("torch")


def check_cuda() -> Check:
    try:
        from zebfast.net.torch import runtime
    except ImportError:
        return Check("cuda", False, "needs torch", required=False)
    built = runtime.cuda_version()
    if not runtime.n_gpus():
        if built is None:
            detail, fix = "this torch is built for the CPU", "install a CUDA build of torch"
        else:
            detail, fix = f"torch has CUDA {built}, but no device answers", "check nvidia-smi"
        return Check("cuda", False, detail, required=False, fix=f"{fix}, if there is a GPU")
    found = f"{runtime.gpu_name()}, {runtime.gpu_gib():.0f} GiB, CUDA {built}"
    return Check("cuda", True, found)


def check_optional(name: str) -> Check:
    version = installed_version(name)
    detail = version or f"not installed; for {OPTIONAL[name]}"
    return Check(name, version is not None, detail, required=False, fix=f"pip install {name}")


def all_checks() -> Iterator[Check]:
    """Every check in the order of the report."""
    where, python = f"{platform.python_version()} at {sys.executable}", sys.version_info >= (3, 11)
    yield Check("python", python, where, fix="install Python 3.11 or newer")
    yield Check("zebfast", True, f"{zebfast.__version__} at {Path(zebfast.__file__).parent}")
    yield check_core()
    yield from map(check_package, ("numpy", "safetensors", "click", "rich"))
    yield check_shipped()
    yield check_torch()
    yield check_cuda()
    yield from map(check_optional, OPTIONAL)
    compilers = (shutil.which(name) for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"))
    compiler = next(filter(None, compilers), None)
    yield Check(
        "C compiler", compiler is not None,
        compiler or "none found; only needed to build from source", required=False,
        fix="apt-get install build-essential   (Debian, Ubuntu)",
    )  # fmt: skip
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield Check(
        "disk space", free >= MIN_FREE_GIB, f"{free:.1f} GiB free in {Path.cwd()}", required=False,
        fix=f"free some: a run wants at least {MIN_FREE_GIB:.0f} GiB",
    )  # fmt: skip
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield Check(
        "open files", soft >= MIN_OPEN_FILES or soft == resource.RLIM_INFINITY,
        f"limit {soft}, at most {hard}", required=False, fix=f"ulimit -n {4 * MIN_OPEN_FILES}",
    )  # fmt: skip
    cores = f"{usable_cores()} usable of {os.cpu_count()}, {platform.machine()}"
    yield Check("cores", True, cores)


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.option("--online", is_flag=True, help="Also ask the Hub and look for a W&B key.")
def doctor(as_json: bool, online: bool) -> None:
    """Say what is installed, what is missing and the command that mends it.

    Exits with 1 if anything that zebfast cannot do without is missing.

    \b
    Example:
      zebfast doctor
      zebfast doctor --online
    """
    found = [*all_checks(), *((check_hub(), check_wandb()) if online else ())]
    checks = [replace(check, detail=hidden(check.detail)) for check in found]
    ok = all(check.ok for check in checks if check.required)
    if as_json:
        click.echo(json.dumps({"ok": ok, "checks": [asdict(check) for check in checks]}))
    else:
        for check in checks:
            click.echo(f"{check.mark:>7}  {check.name:<16} {check.detail}")
            if not check.ok and check.fix:
                click.echo(f"{'':>7}  {'':<16} -> {check.fix}")
        verdict = "Everything required is here." if ok else "Something required is missing."
        click.echo(f"{verdict} ('-' marks what is optional.)")
    if not ok:
        raise click.exceptions.Exit(1)


# --- The checks of `zebfast doctor --online`: do the services answer, and whom do they see?
# Nothing is written anywhere.

SECONDS = 10.0


def check_hub() -> Check:
    """The Hub must know the token, and the token must be allowed to write."""
    account = partial(Check, "Hub account", required=False)
    if installed_version("huggingface_hub") is None:
        fix = "pip install 'zebfast[hub]'"
        return account(False, "huggingface_hub is not installed", fix=fix)
    from huggingface_hub import constants, get_session, get_token

    token = get_token()
    if token is None:
        fix = "hf auth login, or export HF_TOKEN=..."
        return account(False, "no token: public repositories can be read only", fix=fix)
    try:
        answer = get_session().get(
            f"{constants.ENDPOINT}/api/whoami-v2",
            headers={"Authorization": f"Bearer {token}"},
            timeout=SECONDS,
        )
        if answer.status_code in (401, 403):
            fix = "make a new token with write access, then: hf auth login"
            return account(False, f"{constants.ENDPOINT} refuses the token", fix=fix)
        answer.raise_for_status()
        who = answer.json()
    except Exception as error:  # whatever it is, the report must go on and name it
        problem = f"{constants.ENDPOINT} does not answer ({type(error).__name__})"
        fix = "check the network; work goes on without, uploads wait"
        return account(False, problem, fix=fix)
    role = (who.get("auth", {}).get("accessToken") or {}).get("role", "unknown")
    writes = role in ("write", "fineGrained", "admin")
    detail = f"{who.get('name')} at {constants.ENDPOINT}, token role {role}"
    return account(writes, detail, fix="workers and learner need a token that may write")


def check_wandb() -> Check:
    """Is there a key that `--wandb` would use? The service itself is not asked."""
    account = partial(Check, "W&B account", required=False)
    if installed_version("wandb") is None:
        return account(False, "wandb is not installed", fix="pip install 'zebfast[wandb]'")
    base = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    host = urlparse(base).hostname or ""
    netrc = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    logged_in = bool(os.environ.get("WANDB_API_KEY"))
    if not logged_in and netrc.is_file():
        logged_in = host in netrc.read_text(errors="replace")
    detail = f"{'' if logged_in else 'no '}key for {base}"
    return account(logged_in, detail, fix="wandb login, or WANDB_MODE=offline")

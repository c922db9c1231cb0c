"""The checks of `zebfast doctor --online`: do the services answer, and whom do they see?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

from zebfast.cli.check import Check, installed_version

SECONDS = 10.0


def online_checks() -> Iterator[Check]:
    """Ask each service that is installed; nothing is written anywhere."""
    yield check_hub()
    yield check_wandb()


def check_hub() -> Check:
    """The Hub must know the token, and the token must be allowed to write."""
    if installed_version("huggingface_hub") is None:
        return Check("Hub account", False, "huggingface_hub is not installed", required=False,
                     fix="pip install 'zebfast[hub]'")  # fmt: skip
    from huggingface_hub import constants, get_session, get_token

    token = get_token()
    if token is None:
        return Check("Hub account", False, "no token: public repositories can be read only",
                     required=False, fix="hf auth login, or export HF_TOKEN=...")  # fmt: skip
    try:
        answer = get_session().get(
            f"{constants.ENDPOINT}/api/whoami-v2",
            headers={"Authorization": f"Bearer {token}"},
            timeout=SECONDS,
        )
        if answer.status_code in (401, 403):
            return Check("Hub account", False, f"{constants.ENDPOINT} refuses the token",
                         required=False, fix="make a new token with write access, "
                         "then: hf auth login")  # fmt: skip
        answer.raise_for_status()
        who = answer.json()
    except Exception as error:  # whatever it is, the report must go on and name it
        return Check("Hub account", False, f"{constants.ENDPOINT} does not answer "
                     f"({type(error).__name__})", required=False,
                     fix="check the network; work goes on without, uploads wait")  # fmt: skip
    role = (who.get("auth", {}).get("accessToken") or {}).get("role", "unknown")
    writes = role in ("write", "fineGrained", "admin")
    detail = f"{who.get('name')} at {constants.ENDPOINT}, token role {role}"
    return Check("Hub account", writes, detail, required=False,
                 fix="workers and learner need a token that may write")  # fmt: skip


def check_wandb() -> Check:
    """Is there a key that `--wandb` would use? The service itself is not asked."""
    if installed_version("wandb") is None:
        return Check("W&B account", False, "wandb is not installed", required=False,
                     fix="pip install 'zebfast[wandb]'")  # fmt: skip
    base = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    host = urlparse(base).hostname or ""
    netrc = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    logged_in = bool(os.environ.get("WANDB_API_KEY"))
    if not logged_in and netrc.is_file():
        logged_in = host in netrc.read_text(errors="replace")
    return Check("W&B account", logged_in, f"key for {base}" if logged_in else f"no key for {base}",
                 required=False, fix="wandb login, or WANDB_MODE=offline")  # fmt: skip

"""Manifests: what other engines take to run the same workers as a fleet does.

Each is plain text with the commands to use it at its top. Nothing looks after such workers but the
engine: it starts again what ends, and ``zebfast experiment status`` shows their heartbeats.

The forms are those of the versions in ENGINES, whose own validators have taken them (make
test-slow). No manifest holds a secret: each names where the engine has it from.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zebfast.experiment.experiment import Experiment
from zebfast.fleet.health import stall_limit
from zebfast.fleet.launch import for_task, launch_env, start_command
from zebfast.fleet.model import Spec, new_label, worker_id_of
from zebfast.fleet.provider import WrongSettings
from zebfast.fleet.slurm import INDEX, batch_script
from zebfast.worker.supervisor import USAGE

_SECRET = "zebfast"  # name of the Kubernetes secret
_ALIVE = "/dev/shm/zebfast-alive"
_TERM_SECONDS = 90  # a worker uploads for up to 30, its supervisor waits 60
_PROBE_SECONDS = 30
_TRIES = 100  # of one worker, whose supervisor has tried on the machine before
_SKY_DISK_GB = 64  # its images and the container's together
_GPU = "nvidia.com/gpu"
#: Taints of nodes that may be reclaimed, on GKE and AKS; EKS has none by itself.
_SPOT = [
    {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
    for key, value in (
        ("cloud.google.com/gke-spot", "true"),
        ("kubernetes.azure.com/scalesetpriority", "spot"),
    )
]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What manifests are written for.

    Attributes:
        version_command: says the version of the program that takes the manifest.
        since, before: versions that know its form, the second left out.
        file: ending of the manifest's name.
    """

    version_command: tuple[str, ...]
    since: tuple[int, int]
    before: tuple[int, int]
    file: str

    def check(self, name: str, version: str) -> None:
        """Raise WrongSettings where this is no version that the manifest is for."""
        found = re.search(r"(\d+)\.(\d+)", version)
        if found is None:
            raise WrongSettings(f"{version!r:.40} is no version of {name}: expected one like 1.31")
        if not self.since <= (int(found[1]), int(found[2])) < self.before:
            raise WrongSettings(
                f"{name} {found[0]} may not know this manifest, which is for {_dotted(self.since)} "
                f"to before {_dotted(self.before)}: use such a version, or name the one that will "
                "read it with --tool-version"
            )


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


ENGINES: Mapping[str, Engine] = {
    "slurm": Engine(
        version_command=("sbatch", "--version"), since=(20, 2), before=(27, 0), file="sbatch"
    ),
    "kubernetes": Engine(
        version_command=("kubectl", "version", "--client"),
        since=(1, 26),
        before=(1, 40),
        file="kubernetes.yaml",
    ),
    "dstack": Engine(
        version_command=("dstack", "--version"), since=(0, 20), before=(0, 24), file="dstack.yml"
    ),
    "skypilot": Engine(
        version_command=("sky", "--version"), since=(0, 11), before=(0, 16), file="sky.yaml"
    ),
}


def manifest(to: str, spec: Spec, experiment: Experiment, *, token: str) -> tuple[str, str]:
    """Name and text of the manifest for one of ENGINES.

    Args:
        token: tells its workers from those of other manifests and fleets.

    Raises:
        ProviderError: the workers' command would be too long.
    """
    write = {
        "slurm": _slurm,
        "kubernetes": _kubernetes,
        "dstack": _dstack,
        "skypilot": _skypilot,
    }[to]
    name = f"{spec.fleet}.{ENGINES[to].file}"
    return name, write(_Wish(spec, experiment, token), name)


@dataclass(frozen=True)
class _Wish:
    """What is wanted, in the words that several engines share."""

    spec: Spec
    experiment: Experiment
    token: str

    @property
    def worker_id(self) -> str:
        return worker_id_of(new_label(self.spec.fleet, self.token), self.spec.role)

    @property
    def has_hub(self) -> bool:
        """Does it need the Hub's token?"""
        return bool(launch_env(self.experiment, hf_token="-"))

    @property
    def name(self) -> str:
        """The fleet's label as a DNS label that leaves room for a number."""
        name = re.sub(r"[^a-z0-9]+", "-", self.spec.fleet.lower()).strip("-")
        return (name if name[:1].isalpha() else f"zeb-{name}")[:50].strip("-")

    @property
    def gpu_types(self) -> list[str]:
        """As dstack and SkyPilot spell them: RTX3060; empty where any will do, or none."""
        named = [gpu.replace(" ", "") for gpu in self.spec.gpus]
        gpu = self.spec.task.gpu
        return named or ([gpu[0].upper()] if gpu and gpu[0] else [])

    @property
    def n_gpus(self) -> int:
        gpu = self.spec.task.gpu
        return gpu[1] if gpu else int(bool(self.spec.gpus))

    @property
    def env(self) -> dict[str, str]:
        """Plain variables of the worker."""
        return {} if self.n_gpus else {"ZEB_ALLOW_CPU": "1"}

    def script(self, index: str, *, alive_file: str | None = None) -> str:
        return start_command(
            self.spec, self.experiment, self.worker_id, index=index, alive_file=alive_file
        )

    def loop(self, command: str) -> str:
        """A command for each worker."""
        return f"for i in $(seq {self.spec.n}); do {command}; done"

    @property
    def seconds(self) -> int | None:
        hours = self.spec.budget_hours
        return self.spec.task.seconds if hours is None else math.ceil(3600 * hours)


def _slurm(wish: _Wish, name: str) -> str:
    # What it plays on is said by --gres alone, as where a fleet submits it.
    spec, task = replace(for_task(wish.spec), gpus=()), wish.spec.task
    wish = replace(wish, spec=spec)
    export = "".join(f"export {key}={value}\n" for key, value in wish.env.items())
    options = [
        f"--job-name={spec.fleet}",
        f"--array=0-{spec.n - 1}",
        *task.sbatch_options(),
        "--requeue",
        "--open-mode=append",
        f"--output={spec.fleet}-%A_%a.log",
    ]
    about = [f"sbatch {name}", f"squeue --me --name={spec.fleet}", f"scancel --name={spec.fleet}"]
    about += ["HF_TOKEN is taken from the environment of sbatch."] if wish.has_hub else []
    head, _, body = batch_script(export + wish.script(INDEX)).partition("\n")
    lines = [head, *_comments(about), *(f"#SBATCH {option}" for option in options)]
    return "\n".join(lines) + f"\n\n{body}"


def _kubernetes(wish: _Wish, name: str) -> str:
    spec, env = wish.spec, [{"name": key, "value": value} for key, value in wish.env.items()]
    about = [
        f"kubectl apply -f {name}",
        f"kubectl get pods -l app={wish.name}",
        f"kubectl delete job {wish.name}",
    ]
    secret: list[Any] = []
    if wish.has_hub:
        literal = '--from-literal=HF_TOKEN="$HF_TOKEN"'
        about.insert(0, f"kubectl create secret generic {_SECRET} {literal}")
        key = {"name": _SECRET, "key": "HF_TOKEN"}
        secret = [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": key}}]
    container = {
        "name": "worker",
        "image": spec.image,
        "command": ["bash", "-c", wish.script("JOB_COMPLETION_INDEX", alive_file=_ALIVE)],
        "env": env + secret,
        "resources": _pod_resources(wish),
        **_probes(spec),
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _TERM_SECONDS,
        "tolerations": _SPOT if spec.interruptible else None,
        "containers": [container],
    }
    labels = {"app": wish.name}
    # A pod that is evicted costs no try; flags that a worker refuses end the job.
    evicted = {"type": "DisruptionTarget", "status": "True"}
    rules = [
        {"action": "Ignore", "onPodConditions": [evicted]},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [USAGE]}},
    ]
    job = {
        "completionMode": "Indexed",
        "completions": spec.n,
        "parallelism": spec.n,
        "backoffLimit": _TRIES * spec.n,
        "activeDeadlineSeconds": wish.seconds,
        "podFailurePolicy": {"rules": rules},
        "template": {"metadata": {"labels": labels}, "spec": _given(pod)},
    }
    return _text(
        about,
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": wish.name, "labels": labels},
            "spec": _given(job),
        },
    )


def _pod_resources(wish: _Wish) -> dict[str, Any]:
    task = wish.spec.task
    memory = f"{task.memory_mib}Mi" if task.memory else None
    gpus = str(wish.n_gpus) if wish.n_gpus else None
    requests = {
        "cpu": None if task.cpus is None else str(task.cpus),
        "memory": memory,
        "ephemeral-storage": f"{math.ceil(wish.spec.disk_gb)}G",
        _GPU: gpus,
    }
    limits = _given({"memory": memory, _GPU: gpus})
    return _given({"requests": _given(requests), "limits": limits or None})


def _probes(spec: Spec) -> dict[str, Any]:
    """By a file that the worker's supervisor touches after every batch."""
    patience, limit = spec.setup_limit + stall_limit(spec), math.ceil(2 * stall_limit(spec) / 60)
    tests = {
        "startupProbe": (f"test -e {_ALIVE}", math.ceil(patience / _PROBE_SECONDS)),
        "livenessProbe": (f'test -n "$(find {_ALIVE} -mmin -{limit})"', 2),
    }
    return {
        name: {
            "exec": {"command": ["sh", "-c", test]},
            "periodSeconds": _PROBE_SECONDS,
            "timeoutSeconds": 10,
            "failureThreshold": failures,
        }
        for name, (test, failures) in tests.items()
    }


def _dstack(wish: _Wish, name: str) -> str:
    spec, task, run = wish.spec, wish.spec.task, wish.name[:36]
    about = [
        wish.loop(f"dstack apply -f {name} -n {run}-$i -y -d"),
        "dstack ps",
        wish.loop(f"dstack stop -y {run}-$i"),
    ]
    env = [f"{key}={value}" for key, value in wish.env.items()]
    if wish.has_hub:
        about.insert(0, 'dstack secret set HF_TOKEN "$HF_TOKEN"')
        env.append("HF_TOKEN=${{ secrets.HF_TOKEN }}")
    gpu = _given({"name": wish.gpu_types or None, "count": wish.n_gpus})
    resources = {
        "cpu": None if task.cpus is None else f"{task.cpus}..",
        "memory": f"{task.memory_mib}MB.." if task.memory else None,
        "disk": f"{math.ceil(spec.disk_gb)}GB..",
        "gpu": gpu if wish.n_gpus else None,
    }
    run_task = {
        "type": "task",
        "name": f"{run}-1",
        "image": spec.image,
        "env": env or None,
        "commands": [f"bash -c {shlex.quote(wish.script('DSTACK_RUN_NAME'))}"],
        "resources": _given(resources),
        "spot_policy": "spot" if spec.interruptible else "on-demand",
        "max_price": spec.max_price_per_hour,
        "max_duration": None if wish.seconds is None else f"{wish.seconds}s",
        "stop_duration": f"{_TERM_SECONDS}s",
        "retry": {"on_events": ["no-capacity", "interruption", "error"], "duration": "30d"},
    }
    return _text(about, _given(run_task))


def _skypilot(wish: _Wish, name: str) -> str:
    spec, task = wish.spec, wish.spec.task
    if wish.n_gpus and not wish.gpu_types:
        raise WrongSettings(
            "SkyPilot takes no GPU without its type: give --gpus, or --gres gpu:L4:1"
        )
    secret = " --secret HF_TOKEN" if wish.has_hub else ""
    about = [
        wish.loop(f"sky jobs launch -y -d -n {wish.name}-$i --env ZEB_INDEX=$i{secret} {name}"),
        "sky jobs queue",
        wish.loop(f"sky jobs cancel -y -n {wish.name}-$i"),
    ]
    memory = task.memory_mib
    resources = {
        "accelerators": dict.fromkeys(wish.gpu_types, wish.n_gpus) or None,
        "cpus": None if task.cpus is None else f"{task.cpus}+",
        "memory": None if memory is None else f"{math.ceil(memory / 1024)}+",
        "disk_size": max(_SKY_DISK_GB, math.ceil(spec.disk_gb)),
        "image_id": f"docker:{spec.image}",
        "use_spot": spec.interruptible,
        "job_recovery": {"max_restarts_on_errors": _TRIES},  # beside those after a preemption
    }
    run = {
        "name": wish.name,
        "resources": _given(resources),
        "envs": {"ZEB_INDEX": "0", **wish.env},
        "secrets": {"HF_TOKEN": None} if wish.has_hub else None,
        "run": wish.script("ZEB_INDEX") + "\n",
    }
    return _text(about, _given(run))


def _given(found: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None: the engine's to choose."""
    return {key: value for key, value in found.items() if value is not None}


# --- YAML, as far as manifests need it.


def _comments(lines: Sequence[str]) -> list[str]:
    return [f"# {line}" for line in lines]


def _text(about: Sequence[str], value: Mapping[str, Any]) -> str:
    return "\n".join([*_comments(about), *_yaml(value, "")]) + "\n"


def _yaml(value: Any, indent: str) -> Iterator[str]:
    """Lines of a mapping or list that is not empty; texts of several lines as blocks."""
    pairs = value.items() if isinstance(value, Mapping) else (("-", each) for each in value)
    for key, found in pairs:
        head = "-" if key == "-" else f"{key}:"
        if isinstance(found, str) and "\n" in found:
            yield f"{indent}{head} {'|' if found.endswith(chr(10)) else '|-'}"
            for line in found.rstrip("\n").split("\n"):
                yield f"{indent}  {line}" if line else ""
        elif isinstance(found, Mapping | list) and found:
            inner = list(_yaml(found, indent + "  "))
            if key == "-":
                yield f"{indent}- {inner.pop(0).strip()}"
            else:
                yield f"{indent}{head}"
            yield from inner
        else:
            yield f"{indent}{head} {json.dumps(found)}"  # JSON's plain values are YAML's, too

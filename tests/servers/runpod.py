"""A loopback RunPod: GPU types with prices and stock, pods, a balance, and faults on order.

It answers what the real ``runpod`` client asks, at ``/graphql``. Runs as threads inside a test; a
client is led to it by ``environment``.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.servers.loopback import Handler, Listener, Service
from tests.servers.runpod_graphql import Asked, QuestionError, cut, parse

KEY = "rpa_LOOPBACKKEY0123456789"
NO_ROOM = (
    "There are no longer any instances available with the requested specifications. "
    "Please refresh and try again."
)
NO_MONEY = "Your account balance is too low to rent a pod. Please add funds to your account."
RENTED = "Rented by User: Sat Nov 21 2026 18:40:28 GMT+0000 (Coordinated Universal Time)"

# Fields that the client asks for and nobody here looks at.
_OF_POD = """dockerId gpuCount memoryInGb podType port ports uptimeSeconds vcpuCount volumeInGb
    volumeMountPath"""
_OF_TYPE = """communityCloud communityPrice communitySpotPrice cudaCores manufacturer maxGpuCount
    memoryInGb oneMonthPrice oneWeekPrice secureCloud securePrice secureSpotPrice threeMonthPrice"""


@dataclass
class Gpu:
    """A GPU type. A cloud without a price has none free; ``left`` counts down, None = no end."""

    shown: str
    community: float | None = None
    secure: float | None = None
    left: int | None = None


@dataclass
class Pod:
    """A rented pod; ``asked`` is the whole input of its order. ``seen`` counts listings."""

    id: str
    name: str | None
    asked: dict[str, Any]
    cost: float | None
    gpu: str = ""
    status: str | None = "RUNNING"
    change: str | None = RENTED
    up: bool = False
    seen: int = 0

    @property
    def env(self) -> dict[str, str]:
        """Variables of the container."""
        return {pair["key"]: pair["value"] for pair in self.asked.get("env", [])}


@dataclass
class Fault:
    """What goes wrong with requests for a field that matches ``match``, ``times`` often.

    ``refuse`` answers 200 with an error of that ``text`` (``QUESTION`` in it stands for the
    question); ``status`` answers with it and ``text`` as body; ``drop`` ends the connection at
    once, ``lose`` after doing what was asked, ``hang`` answers nothing until the server ends;
    ``null`` answers with null for every field named ``text``.
    """

    kind: Literal["refuse", "status", "drop", "lose", "hang", "null"]
    match: str = "."
    text: str = ""
    status: int = 500
    times: int | None = None


@dataclass
class RunPodServer(Service):
    """Use as a context. All its fields may be changed at any time.

    Attributes:
        balance: dollars; None is answered as null.
        boots: a pod's container is up from its second listing on; False = it never is.
        requests: the field that each request was for, ``myself.pods``.
    """

    key: str = KEY
    gpus: dict[str, Gpu] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    balance: float | None = 25.0
    boots: bool = True

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.listen(_Handler)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead a client here."""
        return {"RUNPOD_API_BASE_URL": self.url, "NO_PROXY": "127.0.0.1"}

    def add(self, name: str | None, **more: Any) -> Pod:
        """A pod that somebody else has rented."""
        pod = Pod(f"pod{len(self.pods) + 1:04}", name, {}, **{"cost": 0.1, **more})
        self.pods[pod.id] = pod
        return pod

    def due_fault(self, what: str) -> Fault | None:
        """The fault that this request is to meet."""
        for fault in self.faults:
            if fault.times != 0 and re.search(fault.match, what):
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None

    def answer(self, asked: Asked) -> Any:
        """Value of one field of a question."""
        wanted = asked.arguments.get("input", {})
        if asked.name == "gpuTypes":
            found = [_type_row(name, gpu) for name, gpu in self.gpus.items()]
            return [row for row in found if wanted.get("id") in (None, row["id"])]
        if asked.name == "myself":
            mine = {"clientBalance": self.balance, "id": "user1"}
            return {**mine, "pods": [self._listed(pod) for pod in self.pods.values()]}
        if asked.name == "podFindAndDeployOnDemand":
            return self._deploy(wanted)
        if asked.name == "podTerminate":
            if self.pods.pop(wanted["podId"], None) is None:
                raise QuestionError("pod not found to terminate")
            return None
        raise QuestionError(f'Cannot query field "{asked.name}" on type "Query".')

    def _deploy(self, wanted: dict[str, Any]) -> dict[str, Any]:
        gpu = self.gpus[wanted["gpuTypeId"]]
        price = getattr(gpu, wanted["cloudType"].lower())
        if price is None or gpu.left == 0:
            raise QuestionError(NO_ROOM)
        if (self.balance or 0.0) < price:
            raise QuestionError(NO_MONEY)
        gpu.left = None if gpu.left is None else gpu.left - 1
        pod = self.add(wanted["name"], cost=price, gpu=gpu.shown)
        pod.asked = wanted
        return self._listed(pod)

    def _listed(self, pod: Pod) -> dict[str, Any]:
        pod.seen += 1
        pod.up = pod.up or (self.boots and pod.seen > 2)  # the answer to the order is the first
        asked = pod.asked
        return {
            **dict.fromkeys(_OF_POD.split()),
            "id": pod.id,
            "name": pod.name,
            "containerDiskInGb": asked.get("containerDiskInGb"),
            "costPerHr": pod.cost,
            "desiredStatus": pod.status,
            "dockerArgs": asked.get("dockerArgs"),
            "env": [f"{name}={value}" for name, value in pod.env.items()],
            "imageName": asked.get("imageName"),
            "lastStatusChange": pod.change,
            "machineId": f"host-{pod.id}",
            "runtime": {"ports": []} if pod.up else None,
            "machine": {"gpuDisplayName": pod.gpu, "podHostId": f"{pod.id}-64410"},
        }


def _type_row(name: str, gpu: Gpu) -> dict[str, Any]:
    def lowest(input: dict[str, Any]) -> dict[str, Any]:
        clouds = {False: [gpu.community], True: [gpu.secure]}
        prices = clouds.get(input.get("secureCloud"), [gpu.community, gpu.secure])
        free = [price for price in prices if price is not None]
        return {"minimumBidPrice": None, "uninterruptablePrice": min(free, default=None)}

    return {
        **dict.fromkeys(_OF_TYPE.split()),
        "id": name,
        "displayName": gpu.shown,
        "lowestPrice": lowest,
    }


def _nulled(value: Any, name: str) -> Any:
    """The same with null for all fields of that name."""
    if isinstance(value, list):
        return [_nulled(item, name) for item in value]
    if isinstance(value, dict):
        return {k: None if k == name else _nulled(item, name) for k, item in value.items()}
    return value


class _Handler(Handler):
    protocol_version = "HTTP/1.1"
    server: Listener[RunPodServer]

    def do_POST(self) -> None:
        service = self.server.service
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/graphql" or self.headers["Authorization"] != f"Bearer {service.key}":
            return self._reply(401, json.dumps({"message": "Unauthorized"}))
        question = json.loads(body)["query"]
        try:
            fields = parse(question)
        except QuestionError as error:
            return self._reply(400, _errors(str(error)))
        parts = [part.name for part in fields[0].parts]
        what = f"myself.{parts[0]}" if fields[0].name == "myself" else fields[0].name
        with service.lock:
            service.requests.append(what)
            fault = service.due_fault(what)
            before = fault is not None and fault.kind not in ("lose", "null")
            reply = None if before else self._serve(fields, fault)
        if reply is not None and (fault is None or fault.kind == "null"):
            return self._reply(200, reply)
        return self._fail(fault, question)

    def _serve(self, fields: list[Asked], fault: Fault | None) -> str:
        service = self.server.service
        try:
            data = {asked.alias: cut(service.answer(asked), asked) for asked in fields}
        except QuestionError as error:
            return _errors(str(error))
        return json.dumps(_nulled({"data": data}, fault.text if fault else ""))

    def _fail(self, fault: Fault | None, question: str) -> None:
        if fault is not None and fault.kind == "refuse":
            return self._reply(200, _errors(fault.text.replace("QUESTION", question)))
        if fault is not None and fault.kind == "status":
            return self._reply(fault.status, fault.text)
        if fault is not None and fault.kind == "hang":
            self.server.service.closing.wait()
        self.close_connection = True
        return None

    def _reply(self, status: int, content: str) -> None:
        data = content.encode()
        with contextlib.suppress(ConnectionError):  # the client may have given up meanwhile
            self.send_response(status)
            kind = "text/html" if content.startswith("<") else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)


def _errors(message: str) -> str:
    return json.dumps({"errors": [{"message": message}], "data": None})

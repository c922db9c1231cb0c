"""A loopback Weights & Biases service, as much of it as the real client needs for a run.

It keeps what the client uploads (history rows at the offsets the client names, summary, config) and
answers resumption from it. ``fault`` makes it misbehave. Runs as a thread inside a test; the client
belongs into a process of its own that is given ``environment(...)``.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tests.servers.loopback import Handler, Listener, Service

KEY = "k" * 40
ENTITY = "me"


@dataclass
class StoredRun:
    """A run as the service knows it; ``history`` has one dict a row, in order of upload offset."""

    name: str
    project: str
    display_name: str
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    heartbeat: float | None = None

    def bucket(self) -> dict[str, Any]:
        """The form in which GraphQL answers name a run."""
        project = {"id": "p", "name": self.project, "entity": {"id": "e", "name": ENTITY}}
        # The client takes a run for one that can be resumed only if its config has the key "t".
        client = {"t": {"1": 1}, "_wandb": {"value": {"t": {}}}}
        return {
            "id": f"id-{self.name}",
            "name": self.name,
            "displayName": self.display_name,
            "project": project,
            "config": json.dumps(self.config),
            "wandbConfig": json.dumps(client),
            "sweepName": None,
            "tags": [],
            "summaryMetrics": json.dumps(self.summary),
            "historyLineCount": len(self.history),
            "historyTail": json.dumps([json.dumps(row) for row in self.history[-1:]]),
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "logLineCount": 0,
        }

    def shown(self) -> dict[str, Any]:
        """The form in which the public API is told of a run."""
        state = {None: "running", 0: "finished"}.get(self.exit_code, "failed")
        beat = datetime.fromtimestamp(self.heartbeat or 0.0, UTC)
        times = dict.fromkeys(("heartbeatAt", "createdAt"), f"{beat:%FT%T}")
        nothing = dict.fromkeys(("group", "jobType", "commit", "description", "notes"))
        own = {"user": {"name": ENTITY, "username": ENTITY}, "readOnly": False}
        rest = {"state": state, "systemMetrics": "{}", "historyKeys": None, "projectId": "1"}
        return {**self.bucket(), **times, **nothing, **own, **rest}


@dataclass(frozen=True)
class Fault:
    """What goes wrong, for every request whose path or GraphQL operation matches ``match``.

    ``drop`` closes the connection without an answer; ``lose`` does what was asked first; ``status``
    answers with that HTTP status; ``delay`` answers after so many seconds. ``times`` is how often,
    None for always.
    """

    kind: Literal["drop", "lose", "status", "delay"]
    match: str = "."
    status: int = 500
    seconds: float = 0.0
    times: int | None = None


class WandbServer(Service):
    """Use as a context. ``fault`` may be changed at any time; ``requests`` are what arrived."""

    def __init__(self) -> None:
        self.runs: dict[str, StoredRun] = {}
        self.requests: list[str] = []
        self.n_faults = 0
        self.fault: Fault | None = None
        self.lock = threading.Lock()
        self.listen(_Handler)

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        """History of a run without the client's own entries."""
        with self.lock:
            history = self.runs[run_id].history
            return [{k: v for k, v in row.items() if not k.startswith("_")} for row in history]

    def due_fault(self, what: str) -> Fault | None:
        """The fault that this request is to meet."""
        with self.lock:
            fault = self.fault
            if fault is None or not re.search(fault.match, what):
                return None
            if fault.times is not None and self.n_faults >= fault.times:
                return None
            self.n_faults += 1
            return fault

    def answer(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Data of a GraphQL answer; unknown operations get an empty one."""
        if operation == "RunResumeStatus":
            run = self.runs.get(variables.get("name", ""))
            project = {"id": "p", "name": variables.get("project"), "entity": {"name": ENTITY}}
            return {"model": {**project, "bucket": run.bucket() if run else None}}
        if operation == "UpsertBucket":
            return {"upsertBucket": self._upsert(variables)}
        if operation == "CreateRunFiles":
            urls = [{"name": f, "uploadUrl": f"{self.url}/up/{f}"} for f in variables["files"]]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": urls}}
        if operation == "Viewer":
            viewer = {"id": "u", "entity": ENTITY, "username": ENTITY, "flags": "{}"}
            return {"viewer": {**viewer, "teams": {"edges": []}}}
        if operation == "GetDefaultEntity":
            return {"viewer": {"id": "u", "entity": ENTITY, "__typename": "User"}}
        if operation == "Run":
            run = self.runs.get(variables["name"])
            return {"project": {"internalId": "1", "run": run.shown() if run else None}}
        if operation in ("ServerInfo", "ServerFeaturesQuery"):
            versions = {"max_cli_version": "99.0"}
            return {"serverInfo": {"cliVersionInfo": versions, "features": []}}
        return {}

    def _upsert(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables.get("name") or f"run{len(self.runs) + 1}"
        inserted = name not in self.runs
        if inserted:
            shown = variables.get("displayName") or name
            self.runs[name] = StoredRun(name, variables.get("project") or "zeb", shown)
        if variables.get("config"):
            self.runs[name].config = json.loads(variables["config"])
        return {"bucket": self.runs[name].bucket(), "inserted": inserted}

    def stream(self, name: str, body: dict[str, Any]) -> None:
        """Store one piece of a run's file stream; rows replace what lay at their offsets."""
        run, files = self.runs[name], body.get("files") or {}
        history = files.get("wandb-history.jsonl")
        if history:
            start = history.get("offset", 0)
            rows = [json.loads(line) for line in history["content"]]
            run.history[start : start + len(rows)] = rows
        for line in (files.get("wandb-summary.json") or {}).get("content", []):
            run.summary = json.loads(line)
        if body.get("complete"):
            run.exit_code = body.get("exitcode")


class _Handler(Handler):
    protocol_version = "HTTP/1.1"
    server: Listener[WandbServer]

    def _any(self) -> None:
        service = self.server.service
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        query = json.loads(body) if self.path == "/graphql" else {}
        found = re.search(r"(?:query|mutation)\s+(\w+)", query.get("query", ""))
        what = found[1] if found else self.path
        service.requests.append(what)
        fault = service.due_fault(what)
        if fault is not None and fault.kind == "delay":
            time.sleep(fault.seconds)
        if fault is not None and fault.kind == "status":
            return self._reply(fault.status, {"error": "a fault of the test"})
        if fault is not None and fault.kind == "drop":
            self.close_connection = True
            return None
        with service.lock:
            answer = self._serve(query, what, body)
        if fault is not None and fault.kind == "lose":
            self.close_connection = True
            return None
        return self._reply(200, answer)

    def _serve(self, query: dict[str, Any], what: str, body: bytes) -> dict[str, Any]:
        service = self.server.service
        if query:
            return {"data": service.answer(what, query.get("variables") or {})}
        stream = re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path)
        if stream:
            service.stream(stream[1], json.loads(body))
            return {"exitcode": None, "limits": {}}
        return {}

    def _reply(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        with contextlib.suppress(ConnectionError):  # the client may have given up meanwhile
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_HEAD = _any


def environment(url: str, home: Path, **more: str) -> dict[str, str]:
    """Settings that point a client at the service at ``url`` and keep its files in ``home``."""
    return {
        "WANDB_BASE_URL": url,
        "WANDB_API_KEY": KEY,
        "HOME": str(home),
        "WANDB_DIR": str(home),
        "WANDB_CACHE_DIR": str(home / "cache"),
        "WANDB_CONFIG_DIR": str(home / "config"),
        "WANDB_DATA_DIR": str(home / "data"),
        "WANDB_ERROR_REPORTING": "false",
        "NO_PROXY": "127.0.0.1",
        **more,
    }

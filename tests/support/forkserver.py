"""Python programs as forks of a process that has imported torch: real processes, without the wait.

To import torch costs a program five times what most tests ask of it. ``Program`` is a
``subprocess.Popen`` whose command line, where it is one of this interpreter (``-m module``, ``-c
code`` or a script), is run by a fork of a server: this file, started as a program. The fork is a
process in every way that a test can ask for: a child of its caller, with its own id, descriptors,
environment, directory, group, signals and exit code, and it imports zebfast itself. So do the
programs that it starts. Only the interpreter's start is shared: what a program imports, and how
long that takes, is tested with ``subprocess``. So runs whatever the server cannot serve.

How a fork becomes its caller's child: the server forks a process that forks the program and ends,
and for that moment the caller is who inherits orphans below it (PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

PRELOADED = ("torch", "safetensors.torch", "rich.console", "rich.progress", "tomli_w", "click")
#: What the server imports, in its program's environment, before it first runs a script.
ALSO = {"wandb_client.py": ("wandb",)}
#: Variables that a library reads as it is loaded: with others than the server's, no fork will do.
_READ_AT_LOAD = ("PYTHON", "LD_", "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "MALLOC_",
                 "TORCH", "PYTORCH_", "ATEN_", "CUDA_", "LC_", "LANG", "TZ")  # fmt: skip
_BUT_THESE = ("PYTHONPATH", "PYTHONUNBUFFERED", "TORCHINDUCTOR_")  # torch sets the last itself
#: Options of Popen that a fork follows; with any other, the program is started as usual.
_FOLLOWED = {"stdin", "stdout", "stderr", "cwd", "env", "start_new_session", "process_group",
             "text", "encoding", "errors", "bufsize", "close_fds", "pass_fds"}  # fmt: skip
_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PR_SET_CHILD_SUBREAPER = 36
_HEAD = struct.Struct("<I")
_MOST_FILES = 16
_OUT_OF_THE_WAY = 100
_shared: set[str] = set()  # modules, in a fork
_libc = ctypes.CDLL(None)
_Popen = subprocess.Popen  # whatever may take its place

Job = dict[str, Any]


def job_of(command: Sequence[Any]) -> Job | None:
    """What a command line asks for; None where it is no program of zebfast or of the tests."""
    words = [os.fspath(word) for word in command]
    nice = 0
    if words[:2] == ["nice", "-n"]:
        nice, words = int(words[2]), words[3:]
    if words[:1] != [sys.executable]:
        return None
    del words[0]
    unbuffered = words[:1] == ["-u"]
    del words[:unbuffered]
    if words[:1] == ["-m"] and words[1].partition(".")[0] == "zebfast":
        del words[0]
    elif not words or not words[0].startswith(_TESTS):
        return None
    return {"words": words, "nice": nice, "unbuffered": unbuffered}


class Server:
    """The fork server as its client sees it; it begins with the first program and ends with us."""

    def __init__(self, connection: socket.socket | None = None) -> None:
        self._lock = threading.Lock()
        self._connection = connection
        self._loaded_with = _read_at_load(os.environ)

    def serves(self, env: Mapping[str, str]) -> bool:
        return _read_at_load(env) == self._loaded_with

    def fork(self, job: Job, files: Sequence[int]) -> int:
        """Start a program on these files, the first three of them its own; its process id."""
        data = json.dumps(job).encode()
        with self._lock:
            connection = self._connection = self._connection or self._start()
            _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(connection, [_HEAD.pack(len(data))], files)
                connection.sendall(data)
                answer = connection.recv(_HEAD.size, socket.MSG_WAITALL)
            finally:
                _libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        if len(answer) < _HEAD.size:
            raise RuntimeError("the fork server has ended")
        return int(_HEAD.unpack(answer)[0])

    def close(self) -> None:
        """End the server; its time counts as ours from then on."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._process.wait()
                self._connection = None

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        command = [sys.executable, __file__, str(theirs.fileno())]
        self._process = _Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        theirs.close()
        return ours


def _read_at_load(env: Mapping[str, str]) -> dict[str, str]:
    return {
        name: text for name, text in env.items()
        if name.startswith(_READ_AT_LOAD) and not name.startswith(_BUT_THESE)
    }  # fmt: skip


SERVER = Server()


class Program(_Popen[Any]):
    """``subprocess.Popen`` for programs of this interpreter, which starts them as forks."""

    def __init__(self, args: Any, **options: Any) -> None:
        self._options = options
        super().__init__(args, **options)

    def _execute_child(self, args: Any, *how: Any) -> None:
        options, job = self._options, None
        if not isinstance(args, str | bytes) and options.keys() <= _FOLLOWED:
            job = job_of(args)
        env = dict(os.environ if options.get("env") is None else options["env"])
        if job is None or not SERVER.serves(env):
            super()._execute_child(args, *how)  # type: ignore[misc]
            return
        pipes = how[9:15]  # input, output and errors: the program's end and ours (before 3.15)
        ends = (pipes[0], pipes[3], pipes[5])
        passed = list(options.get("pass_fds", ()))
        files = [*(own if end == -1 else end for own, end in enumerate(ends)), *passed]
        job |= {
            "env": env,
            "cwd": os.path.abspath(options.get("cwd") or "."),
            "session": bool(options.get("start_new_session")),
            "group": options.get("process_group"),
            "passed": passed,
        }
        try:
            self.pid = SERVER.fork(job, files)
            self._child_created = True
        finally:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


# --- the server -----------------------------------------------------------------------------------


def _serve(connection: socket.socket) -> Job:
    """Fork for as long as there is a client. Returns in each program, with what it is to run."""
    while True:
        head, files, *_ = socket.recv_fds(connection, _HEAD.size, _MOST_FILES)
        if len(head) < _HEAD.size:
            os._exit(0)  # the client has ended
        job: Job = json.loads(connection.recv(_HEAD.unpack(head)[0], socket.MSG_WAITALL))
        _preload(ALSO.get(os.path.basename(job["words"][0]), ()), job["env"])
        reading, writing = os.pipe()
        middle = os.fork()
        if middle == 0:
            pid = os.fork()
            if pid:
                os.write(writing, _HEAD.pack(pid))
                os._exit(0)
            for end in (reading, writing, connection.fileno()):
                os.close(end)
            connection.detach()
            _become(job, files)
            return _serve_ones_own_programs(job)
        os.waitpid(middle, 0)
        connection.sendall(os.read(reading, _HEAD.size))
        for end in (reading, writing, *files):
            os.close(end)


def _preload(names: Sequence[str], env: Mapping[str, str]) -> None:
    """Import what forks are to share, as it is imported in this environment."""
    if all(name in sys.modules for name in names):
        return
    before = dict(os.environ)
    os.environ.update(env)
    for name in names:
        importlib.import_module(name)
    os.environ.clear()
    os.environ.update(before)
    gc.collect()
    gc.freeze()


def _serve_ones_own_programs(job: Job) -> Job:
    """What this program starts is forked, too, by a server of its own: its children are its own."""
    global SERVER
    ours, theirs = socket.socketpair()
    if os.fork():
        theirs.close()
        SERVER = Server(ours)
        subprocess.Popen = Program  # type: ignore[misc]
        return job
    ours.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2, *job["passed"]):
        os.dup2(nothing, number)
    os.close(nothing)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _serve(theirs)


def _become(job: Job, files: Sequence[int]) -> None:
    """Make this fork what an interpreter would be that was started for the job."""
    aside = [fcntl.fcntl(file, fcntl.F_DUPFD, _OUT_OF_THE_WAY) for file in files]
    for file in files:
        os.close(file)
    for number, file in zip((0, 1, 2, *job["passed"]), aside, strict=True):
        os.dup2(file, number)
        os.close(file)
    if job["session"]:
        os.setsid()
    if job["group"] is not None:
        os.setpgid(0, job["group"])
    os.nice(job["nice"])
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    unbuffered = job["unbuffered"] or bool(job["env"].get("PYTHONUNBUFFERED"))
    sys.stdout = sys.__stdout__ = _writer(1, unbuffered)
    sys.stderr = sys.__stderr__ = _writer(2, unbuffered, errors="backslashreplace")
    sys.modules["numpy"].random.seed()
    sys.modules["torch"].default_generator.seed()
    _shared.update(sys.modules.keys() - {"__main__", "builtins", "sys"})


def _writer(number: int, unbuffered: bool, errors: str = "strict") -> io.TextIOWrapper:
    raw = os.fdopen(number, "wb", 0 if unbuffered else -1, closefd=False)
    by_line = number == 2 or os.isatty(number)
    return io.TextIOWrapper(raw, "utf-8", errors, line_buffering=by_line, write_through=unbuffered)


def _run(job: Job) -> None:
    what = job["words"][0]
    _disk_faults.install_from_environment()
    added = [path for path in job["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv[:] = job["words"]
    importlib.invalidate_caches()
    if what.startswith(_TESTS):
        sys.path[:] = [os.path.dirname(what), *added, *_PATH]
        runpy.run_path(what, run_name="__main__")
    else:
        sys.path[:] = [os.getcwd(), *added, *_PATH]
        runpy.run_module(what, run_name="__main__", alter_sys=True)


def _leave_what_is_shared() -> None:
    """At the very end: keep the interpreter from taking the server's modules apart in every fork.

    That would copy every page they lie on. What the program has imported is taken apart as ever.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _libc.on_exit(_libc._exit, None)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object([sys.modules.pop(name, None) for name in _shared]))


if __name__ == "__main__":
    atexit.register(_leave_what_is_shared)  # the first to be registered is called last
    _given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    _PATH = [path for path in sys.path[1:] if path not in _given]
    _disk_faults = importlib.import_module("disk_faults")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the programs
    _preload(PRELOADED, os.environ)
    _run(_serve(socket.socket(fileno=int(sys.argv[1]))))

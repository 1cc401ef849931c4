"""``tokenunet`` commands in their own processes, forked from one that has imported PyTorch already.

They are started, interrupted and killed as if a shell had started them, without the seconds of importing each time.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path
from types import TracebackType
from typing import Any

_IMPORTED = [
    *("tokenunet.cli", "tokenunet.inference.batch.processes", "tokenunet.training.jobs"),
    "tokenunet.benchmark.networks",
]


def forking_context() -> BaseContext:
    """Return the context of processes that are forked from one that has imported PyTorch; spawned on Windows."""
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    context.set_forkserver_preload(_IMPORTED)  # of no effect on Windows
    return context


def stop_fork_server() -> None:
    """End the processes that `multiprocessing` keeps to its own end, for tests that count the processes they start."""
    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()


class ForkedProcess:
    """A function in its own process, with the methods of `subprocess.Popen` that tests use.

    Args:
        function: Function to call; an int that it returns is the exit code.
        arguments: Positional arguments; pickled.
        environment: Environment variables; those of the test by default.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: Sequence[Any], environment: dict[str, str] | None = None
    ) -> None:
        context = forking_context()
        self._folder = tempfile.TemporaryDirectory(prefix="forked-")
        self._streams = [Path(self._folder.name) / name for name in ("output", "errors")]
        variables = dict(os.environ if environment is None else environment)
        self._process = context.Process(target=_call, args=(function, arguments, self._streams, variables))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; return what was written to standard output and error."""
        self._process.join(timeout)
        assert self.returncode is not None, f"still running after {timeout:g} s"
        output, errors = (path.read_text() if path.exists() else "" for path in self._streams)
        return output, errors

    def __enter__(self) -> "ForkedProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.kill()
        self._process.join()
        self._folder.cleanup()


def start_command(arguments: Sequence[str | Path], environment: dict[str, str] | None = None) -> ForkedProcess:
    """Start ``tokenunet`` with these arguments."""
    return ForkedProcess(_run_command, [list(map(str, arguments))], environment)


def _run_command(arguments: list[str]) -> int:
    from tokenunet.cli import main

    return main(arguments)


def _call(
    function: Callable[..., Any], arguments: Sequence[Any], streams: Sequence[Path], variables: dict[str, str]
) -> None:
    if hasattr(os, "setsid"):
        os.setsid()  # a signal to its group reaches neither the test nor the server
    os.environ.clear()
    os.environ.update(variables)
    for number, path in enumerate(streams, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.exit(function(*arguments))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers, and event loops: each coroutine test runs on asyncio's loop, on uvloop, and on one without add_reader."""

from __future__ import annotations

import asyncio
import inspect
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 20.0


class NoReader(asyncio.SelectorEventLoop):
    """As Windows' Proactor loop: no add_reader, but sock_recv."""

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
    "no-reader": NoReader,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("loop_kind")
        metafunc.parametrize("loop_kind", list(LOOPS))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    problems: list[dict[str, Any]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: problems.append(context))
        try:
            async with asyncio.timeout(60):
                await test(**arguments)
        except Exception as error:
            error.add_note(f"reported to the loop: {problems}")
            raise

    with asyncio.Runner(loop_factory=LOOPS[str(pyfuncitem.callspec.params["loop_kind"])]) as runner:
        runner.run(run())
    # A test that provokes some sets a handler of its own.
    assert not problems, problems
    return True


async def until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Waits for it, with a deadline."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true in {SECONDS} s"
        await asyncio.sleep(0.005)


class Server:
    """A server process that ends with us."""

    def __init__(self, command: list[str], port: int = 0) -> None:
        self._command = command
        self.process: subprocess.Popen[str] | None = None
        self.port = port
        self.start()

    def start(self) -> None:
        """Starts it, on the port that it had before."""
        self.process = subprocess.Popen(
            [*self._command, "--port", str(self.port), "--exit-on-stdin-eof"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 300)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith("listening "):
            self.kill()
            raise RuntimeError(f"{self._command[0]} did not start: {line!r}")
        self.url = line.split()[1]
        self.port = int(self.url.split(":")[2].split("/")[0])

    @property
    def script(self) -> str:
        """The URL of the server on strings."""
        return self.url.replace("/api/socket", "/script")

    def kill(self) -> None:
        """Ends it at once."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _test_server() -> str:
    return os.environ.get("POND_TEST_SERVER", str(ROOT / "target" / "release" / "pond-test-server"))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The test server: the chat over the official Rust package, and /script."""
    server = Server([_test_server(), "--quiet"])
    yield server
    server.kill()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A test server that the test may kill."""
    server = Server([_test_server(), "--quiet"])
    yield server
    server.kill()


@pytest.fixture(scope="session")
def python_server() -> Iterator[Server]:
    """The same chat over the official Python package."""
    try:
        server = Server([str(ROOT / "tests" / "interop" / "python" / "run.sh")])
    except RuntimeError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"the Python server cannot be set up here: {error}")
    yield server
    server.kill()


@pytest.fixture(params=["server", "python_server"])
def chat(request: pytest.FixtureRequest) -> Server:
    """Both servers in turn."""
    found: Server = request.getfixturevalue(request.param)
    return found

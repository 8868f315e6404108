# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples, and the programs in README.md, do what they show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Server

HERE = Path(__file__).resolve().parent.parent


def run(arguments: list[str], text: str = "") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "default", *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


def test_quickstart(chat: Server) -> None:
    lines = run([str(HERE / "examples" / "quickstart.py"), chat.url])
    assert lines[0].startswith("answer: pong {") and lines[1:] == ["message: hello"]


def test_dropin(chat: Server) -> None:
    lines = run([str(HERE / "examples" / "dropin.py"), chat.url])
    assert sorted(lines) == ["got: abc", "joined: alice", "message: hello"]


def test_chat(chat: Server) -> None:
    lines = run([str(HERE / "examples" / "chat.py"), chat.url, "chat-example", "bert"], "hello\nbye\n")
    assert "* joined" in lines
    assert sorted(line for line in lines if line.startswith("<")) == ["<bert> bye", "<bert> hello"]


def test_request(chat: Server) -> None:
    lines = run([str(HERE / "examples" / "request.py"), chat.url])
    assert [line.split(":")[0] for line in lines] == ["in parallel", "timeout", "cancelled", "closed"]
    assert lines[0] == "in parallel: 4950"
    assert lines[2] == "cancelled: CancelledError"


PROGRAMS = re.findall(r"```python\n(.*?)```", (HERE / "README.md").read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_programs_of_the_readme(server: Server, number: int) -> None:
    program = PROGRAMS[number].replace("ws://127.0.0.1:8080/api/socket", server.url)
    assert program != PROGRAMS[number] or "url" in program
    lines = run(["-c", program])
    expected = re.findall(r"# prints (.*)", program)
    assert expected and sorted(lines) == sorted(expected)

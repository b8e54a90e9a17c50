"""What is allowed changes nothing when real shells run it: mutated command lines, in dash and in bash."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from agent.collab.policy.rate import rate

if TYPE_CHECKING:
    from pathlib import Path

HARMLESS = [
    "ls -a", "echo 'a touch M'", 'echo "a touch M"', "echo a; ls", 'x=a; echo "$x"',
    "for i in a b; do echo $i; done", "if [ -d a ]; then ls; fi", "echo $(ls)", "echo `ls`", "ls | cat",
    "ls 2>&1", "[ -f a ] || echo b", "case x in a) ls;; *) echo touch M;; esac", "echo $((1+2))",
    "[[ -f a ]] && ls", "echo a # touch M\nls", "(ls; echo touch M)", "{ ls; }", "! ls", "echo a\\ touch M",
    "timeout 1 ls", "find . -name touch", "ls | xargs echo touch M", "sh -c 'echo touch M'",
    'cat <<< "touch M"', 'echo "$(echo "touch M")"',
]  # fmt: skip
PIECES = [
    "touch M", " touch M ", "\ntouch M", " ", "\n", ";", "&&", "||", "|", "&", "(", ")", "{", "}", "$(",
    "`", "'", '"', "\\", "\\\n", "[[", "]]", "[", "]", "((", "))", "$((", "<", ">", ">M", "<<E\n", "\nE\n",
    "#", "$'", '$"', "~", "*", "=", "x=touch;", "$x", "${x:-", "-a", "2>", ">&", "<(", "<<<", "!", "\t",
    "\r", "time ", "do ", "then ", ";;", "coproc ", "f() ", "xargs ", "-exec ", "eval ", "$[", "|&", "&>",
    ">|",
]  # fmt: skip
PROGRAMS = ("ls", "echo", "cat", "touch", "find", "xargs", "timeout", "dash", "bash")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The only programs there are."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed")
        (folder / name).symlink_to(found)
    (folder / "sh").symlink_to(folder / "dash")
    return folder


def mutated(choice: random.Random) -> str:
    text = choice.choice(HARMLESS)
    for _ in range(choice.randint(1, 3)):
        at = choice.randint(0, len(text))
        text = (
            text[:at] + choice.choice(PIECES) + text[at:]
            if choice.random() < 0.8
            else text[:at] + text[at + 1 :]
        )
    return text


@pytest.mark.parametrize("seed", range(3))
def test_what_is_allowed_makes_no_file(seed: int, policy: Any, programs: Path, tmp_path: Path) -> None:
    """Each mutation tries to have `touch M` run; what is allowed all the same leaves an empty folder."""
    choice = random.Random(seed)  # noqa: S311 - the same ones each time
    folder = tmp_path / "work"
    folder.mkdir()
    allowed = [
        text for text in (mutated(choice) for _ in range(300)) if rate(text, policy).decision == "allow"
    ]
    assert len(allowed) > 10
    env = {"PATH": str(programs), "HOME": str(folder)}
    for text in allowed:
        for shell in ("dash", "bash"):
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    [programs / shell, "-c", text], cwd=folder, env=env,
                    stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=5,
                )  # fmt: skip
            assert os.listdir(folder) == [], (shell, text)

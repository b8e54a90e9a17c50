"""What Slurm says and is asked, on scripted commands; tests/e2e has a real cluster."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.launchers import LaunchError, NeverStartsError, SessionExists, Start
from agent.launchers.place import short_hash
from agent.launchers.slurm import SlurmLauncher, batch, jobs, offer
from spool.names import new_ulid
from spool.task import Resources

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "aispool-0123-"
PROGRAM = """#!{python} -IS
import json, sys
from pathlib import Path
folder, name = Path({folder!r}), {name!r}
with open(folder / "calls", "a") as calls:
    print(json.dumps([name, *sys.argv[1:]]), file=calls)
for line in (folder / name).read_text().splitlines() if (folder / name).exists() else ():
    print(line)
error = folder / (name + ".error")
if error.exists() and (name != "sbatch" or eval(error.read_text().splitlines()[0], {{"words": sys.argv}})):
    sys.exit(error.read_text().splitlines()[-1])
"""


class Scripted:
    """Commands of Slurm's that say what a test wants, and note how they were called."""

    def __init__(self, folder: Path, workspace: Path) -> None:
        self.folder, self.workspace = folder, workspace
        for name in ("sbatch", "squeue", "scancel", "sinfo", "srun"):
            program = folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(PROGRAM.format(python=sys.executable, folder=str(folder), name=name))
            program.chmod(0o755)
        self.prefix = f"aispool-{short_hash(str(workspace.resolve()))}-"

    def says(self, name: str, *lines: str) -> None:
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines))

    def fails(self, name: str, error: str, when: str = "True") -> None:
        (self.folder / f"{name}.error").write_text(f"{when}\n{error}\n")

    def calls(self, name: str) -> list[list[str]]:
        path = self.folder / "calls"
        called = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [words for words in called if words[0] == name]

    def batches(self) -> list[str]:
        root = self.workspace / batch.FOLDER
        return sorted(path.name for path in root.iterdir() if not path.name.startswith("."))

    def job(self, name: str, state: str, *, index: int = 0, node: str = "", reason: str = "None") -> str:
        return f"{index}|{7 + index}|7_{index}|{state}|{node}|{reason}|{self.prefix}{name}"


@pytest.fixture
def workspace(folder: Path) -> Path:
    """A workspace without a cluster behind it."""
    path = folder / "ws"
    path.mkdir()
    return path


@pytest.fixture
def scripted(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return Scripted(tmp_path, workspace)


def start_of(workspace: Path, task_id: str = "t", attempt: int = 1, **more: object) -> Start:
    return Start(task_id, ("wrap", f"attempts/{attempt:03d}"), workspace, **more)  # type: ignore[arg-type]


def grown_old(folder: Path) -> None:
    long_ago_s = time.time() - batch.KEPT_S - 60
    os.utime(folder, (long_ago_s, long_ago_s))


# what squeue prints


def test_jobs_of_others_are_not_ours() -> None:
    ours = new_ulid()
    lines = [
        f"3|12|12_3|RUNNING|n1|None|{PREFIX}{ours}",
        f"N/A|13|13|PENDING||Resources|{PREFIX}{ours}",
        f"0|14|14|RUNNING|n1|None|{PREFIX}../../etc",
        f"0|15|15|RUNNING|n1|None|x|{PREFIX}{ours}",
        "0|16|16|RUNNING|n1|None|a name with",
        "a line break",
    ]
    found = jobs.parse("\n".join(lines), PREFIX)
    assert [(job.batch, job.index, job.address) for job in found] == [(ours, 3, "12_3"), (ours, 0, "13")]


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n")))
def test_no_name_of_a_job_ends_a_look(name: str) -> None:
    """A person may call a job anything, and the next line is still read."""
    ours = f"0|2|2|RUNNING|n1|None|{PREFIX}{new_ulid()}"
    found = jobs.parse(f"0|1|1|RUNNING|n1|None|{name}\n{ours}", "aispool-0123-")
    assert found[-1].number == "2"


def test_a_line_that_is_not_understood_is_told() -> None:
    with pytest.raises(LaunchError, match="nobody understands"):
        jobs.parse(f"1|2|{PREFIX}{new_ulid()}", PREFIX)


@pytest.mark.parametrize("state", ["PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"])
def test_a_job_that_was_put_back_runs_nowhere(state: str) -> None:
    (job,) = jobs.parse(f"0|1|1|{state}||None|{PREFIX}{new_ulid()}", PREFIX)
    assert job.is_in_line
    assert not job.is_over


# what the cluster has

KINDS = offer.parse(
    "main|infinite|8|16000|(null)|fast,10g\n"
    "main|infinite|64+|4000|gpu:a100:2(S:0-1),gpu:1|big\n"
    "short|30:00|4|1000|(null)|(null)\n"
    "not understood\n"
)


@pytest.mark.parametrize(
    ("wanted", "time_s", "part"),
    [
        ({}, 10**9, None),
        ({"cpus": 64, "gpus": 3}, 60, None),
        ({"cpus": 65}, 60, "cpus is 65"),
        ({"gpus": 4}, 60, "gpus is 4"),
        ({"cpus": 64, "memory_mb": 16000}, 60, "no single node"),
        ({"partition": "none"}, 60, "no partition 'none'"),
        ({"partition": "short"}, 1801, "allows 1800 s"),
        ({"partition": "short"}, 1800, None),
        ({"constraint": "10g&fast"}, 60, None),
        ({"constraint": "[fast*2&big*1]"}, 60, None),
        ({"constraint": "fast&slow"}, 60, "feature 'slow'"),
        ({"constraint": "9g"}, 60, "feature '9g'"),
        ({"constraint": "fast", "partition": "short"}, 60, "feature 'fast'"),
    ],
)
def test_what_can_never_run_is_named(wanted: dict[str, object], time_s: float, part: str | None) -> None:
    said = offer.problem(KINDS, Resources.model_validate(wanted), time_s)
    assert part in said if part and said else said is None and part is None


@given(st.text(), st.text())
def test_any_answer_and_any_constraint_are_read(text: str, constraint: str) -> None:
    offer.problem(offer.parse(text), Resources(constraint=constraint), 60)
    offer.problem(KINDS, Resources(constraint=constraint), 60)


# batches


@given(st.lists(st.binary(max_size=20).map(os.fsdecode), min_size=1, max_size=5))
def test_every_argument_survives(words: list[str]) -> None:
    element = batch.Element("task-x", tuple(words), "/", "/s", ("a",))
    line = element.line()
    assert line.isascii()
    assert "\n" not in line
    assert tuple(json.loads(line)["argv"]) == tuple(words)


def test_a_batch_that_no_job_names_is_kept_for_a_while(tmp_path: Path) -> None:
    """Its submission may be on its way, from here or from another login node."""
    young, old, named = new_ulid(), new_ulid(), new_ulid()
    for name in (young, old, named):
        batch.write(tmp_path, name, [batch.Element("task-x", ("a",), "/", "/s")], "")
    half = tmp_path / f".{new_ulid()}"
    half.mkdir()
    (tmp_path / ".lock").touch()
    for path in (tmp_path / old, tmp_path / named, half, tmp_path / ".lock"):
        grown_old(path)
    assert set(batch.remove_old(tmp_path, {named})) == {old, half.name[1:]}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".lock", young, named])


# submitting


def test_a_job_that_was_taken_though_sbatch_failed_is_the_same(scripted: Scripted, workspace: Path) -> None:
    """It is neither cancelled nor submitted again; that of another attempt is named as such."""
    launcher = SlurmLauncher(workspace)
    scripted.fails("sbatch", "Socket timed out on send/recv operation")
    assert isinstance(launcher.start_all([start_of(workspace)])["t"], LaunchError)
    (name,) = scripted.batches()
    scripted.says("squeue", scripted.job(name, "PENDING"))
    again = SlurmLauncher(workspace)
    same = again.start_all([start_of(workspace)])["t"]
    other = again.start_all([start_of(workspace, attempt=2)])["t"]
    assert isinstance(same, SessionExists)
    assert same.is_same
    assert isinstance(other, SessionExists)
    assert not other.is_same
    scripted.says("squeue", scripted.job(name, "PENDING", reason="launch failed requeued held"))
    stuck = again.start_all([start_of(workspace)])["t"]
    assert isinstance(stuck, SessionExists)
    assert not stuck.is_same
    assert len(scripted.calls("sbatch")) == 1


def test_of_two_jobs_the_one_that_runs_counts(scripted: Scripted, workspace: Path) -> None:
    """One that was forgotten and turned up again does not make a running task wait."""
    launcher = SlurmLauncher(workspace)
    for _ in range(2):
        launcher.start_all([start_of(workspace)])
    first, second = scripted.batches()
    scripted.says(
        "squeue",
        scripted.job(first, "RUNNING", node="n1"),
        scripted.job(second, "PENDING"),
    )
    outlook = SlurmLauncher(workspace).outlook("t")
    assert outlook is not None
    assert outlook.may_run
    assert not outlook.in_line
    scripted.says(
        "squeue",
        scripted.job(first, "COMPLETING", node="n1"),
        scripted.job(second, "PENDING"),
    )
    assert SlurmLauncher(workspace).exists("t")


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: Batch job submission failed: Invalid account or account/partition combination",
        "sbatch: error: Batch job submission failed: Invalid qos specification",
        "sbatch: error: Batch job submission failed: Requested node configuration is not available",
    ],
)
def test_what_slurm_takes_at_no_time_is_told_apart(scripted: Scripted, workspace: Path, said: str) -> None:
    scripted.fails("sbatch", said)
    error = SlurmLauncher(workspace).start_all([start_of(workspace)])["t"]
    assert isinstance(error, NeverStartsError)
    assert said in str(error)
    scripted.fails("sbatch", "sbatch: error: Slurm temporarily unable to accept job")
    assert not isinstance(SlurmLauncher(workspace).start_all([start_of(workspace)])["t"], NeverStartsError)


def test_arrays_fit_the_cluster(scripted: Scripted, workspace: Path) -> None:
    """Where MaxArraySize is small, a burst goes in smaller ones, and the next one does so at once."""
    too_large = "any(w.startswith('--array=0-') and int(w[10:]) > 3 for w in words)"
    scripted.fails(
        "sbatch", "sbatch: error: Batch job submission failed: Invalid job array specification", too_large
    )
    launcher = SlurmLauncher(workspace)
    assert launcher.start_all([start_of(workspace, f"t{n}") for n in range(16)]) == {}
    before = len(scripted.calls("sbatch"))
    assert before == 2 + 4
    assert launcher.start_all([start_of(workspace, f"u{n}") for n in range(8)]) == {}
    assert len(scripted.calls("sbatch")) == before + 2


def test_no_wish_becomes_an_option_or_code(scripted: Scripted, workspace: Path) -> None:
    for constraint in ("--wrap=id", "$(id)", "a b", "x\ny", "; id"):
        resources = Resources(constraint=constraint)
        assert SlurmLauncher(workspace).start_all([start_of(workspace, resources=resources)]) == {}
        words = scripted.calls("sbatch")[-1]
        assert f"--constraint={constraint}" in words
        assert words[-1].endswith("/script")
        assert not [word for word in words if word.startswith("--wrap")]


def test_a_percent_sign_in_the_path_is_no_pattern(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = folder / "100%a"
    odd.mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    scripted = Scripted(tmp_path, odd)
    assert SlurmLauncher(odd).start_all([start_of(odd)]) == {}
    assert any(f"--output={folder}/100%%a/" in word for word in scripted.calls("sbatch")[0])


def test_an_array_of_states_takes_one_call(scripted: Scripted, workspace: Path) -> None:
    launcher = SlurmLauncher(workspace)
    launcher.start_all([start_of(workspace, f"t{n}") for n in range(100)])
    (name,) = scripted.batches()
    scripted.says("squeue", *(scripted.job(name, "RUNNING", index=n, node="n1") for n in range(100)))
    fresh = SlurmLauncher(workspace)
    before = len(scripted.calls("squeue"))
    joined = [fresh.attach_command(f"t{n}") for n in range(100)]
    assert all(fresh.outlook(f"t{n}").may_run for n in range(100))  # type: ignore[union-attr]
    assert len({words[1] for words in joined}) == 100
    assert len(scripted.calls("squeue")) <= before + 3
    assert len(scripted.calls("sbatch")) == 1


def test_a_silent_controller_is_left_alone(scripted: Scripted, workspace: Path) -> None:
    """Asked once; what it said last holds, and says when it was asked."""
    launcher = SlurmLauncher(workspace)
    scripted.fails("squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    for _ in range(5):
        outlook = launcher.outlook("t")
        assert outlook is not None
        assert outlook.may_run
        assert outlook.asked_s < time.monotonic() - 10**6
    assert len(scripted.calls("squeue")) == 1
    with pytest.raises(LaunchError, match="does not answer"):
        launcher.sessions()
    assert "does not answer" in (launcher.available() or "")


def test_a_command_that_fails_is_not_called_for_every_task(scripted: Scripted, workspace: Path) -> None:
    """As one whose cluster refuses this user does."""
    launcher = SlurmLauncher(workspace)
    scripted.fails("squeue", "squeue: error: Access/permission denied")
    for number in range(50):
        launcher.outlook(f"t{number}")
    assert len(scripted.calls("squeue")) == 1
    with pytest.raises(LaunchError, match="permission denied"):
        launcher.sessions()


def test_our_environment_changes_no_call(
    scripted: Scripted, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell inside a job has dozens of variables; only the configuration's place is passed on."""
    program = scripted.folder / "bin" / "squeue"
    program.write_text(f'#!/bin/sh\nenv >"{scripted.folder}/env"\n')
    monkeypatch.setenv("SQUEUE_FORMAT", "%i")
    monkeypatch.setenv("SBATCH_PARTITION", "other")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_CONF", "/conf")
    SlurmLauncher(workspace).sessions()
    env = (scripted.folder / "env").read_text().splitlines()
    assert [line for line in env if line.startswith(("SQUEUE", "SBATCH", "SLURM"))] == ["SLURM_CONF=/conf"]

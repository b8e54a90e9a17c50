from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import agent.share
from agent.cluster import SlurmOptions
from agent.config import AgentConfig, ConfigError, host_name, load
from agent.tools.definition import CommandDefinition, ToolDefinition
from agent.tools.registry import Registry

if TYPE_CHECKING:
    from spool.workspace import Workspace

SAMPLES = Path(agent.share.__file__).parent / "configs"
OPTION = re.compile(r"^# (?=[a-z][a-z_-]* = |[A-Z_]+ = |\[{1,2}[a-z._]+\]{1,2}$)", re.MULTILINE)


def write(workspace: Workspace, text: str) -> None:
    (workspace.configs / "agent.toml").write_text(text)


def test_missing_file_means_the_defaults(workspace: Workspace) -> None:
    config = load(workspace)
    assert config.name == host_name()
    assert config.slots == 2
    assert config.allowed_paths == (str(Path.home()), str(workspace.root))
    assert config.allowed_uids == {os.geteuid()}


def test_set_paths_replace_the_default_ones(workspace: Workspace) -> None:
    write(workspace, 'allowed_paths = ["/data/../srv", "~/x"]')
    assert load(workspace).allowed_paths == ("/srv", str(Path.home() / "x"))


def test_users_are_names_or_numbers(workspace: Workspace) -> None:
    write(workspace, 'allowed_users = ["root", 4242]')
    assert load(workspace).allowed_uids == {os.geteuid(), 0, 4242}


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("slots = ", "end of document", "not TOML"),
        ("slots = 2\nname = = 'b'\n", "line 2, column 8", "not TOML"),
        ("slots = 0", "slots", "greater than or equal to 1"),
        ("slots = 'two'", "slots", "'two' is not a whole number: write it without quotes: slots = 2"),
        ("slots = true", "slots", "true is not a whole number"),
        ("timeout_s = '60'", "timeout_s", "'60' is not a number: write it without quotes: timeout_s = 60"),
        ("name = 5", "name", '5 is not text: write it in quotes: name = "text"'),
        ("allowed_paths = '~'", "allowed_paths", "'~' is not a list: write allowed_paths = [\"one\""),
        ("allowed_paths = [5]", "allowed_paths.0", '5 is not text: write it in quotes: "text"'),
        (
            "slots_by_tool = 5",
            "slots_by_tool",
            "5 is not a table: write its options below a line [slots_by_tool]",
        ),
        (
            "launcher = 5",
            "launcher",
            "it is 5, and should be 'tmux', 'screen', 'process' or 'slurm': write one of these",
        ),
        ("sluts = 2", "sluts", "did you mean 'slots'"),
        ("name = 'my host'", "name", "is not a name"),
        ("launcher = 'slum'", "launcher", "'tmux', 'screen', 'process' or 'slurm'"),
        ("timeout_s = 0", "timeout_s", "greater than 0"),
        ("timeout_s = inf", "timeout_s", "finite"),
        ("reserve_bytes = -1", "reserve_bytes", "greater than or equal to 0"),
        ("allowed_paths = ['x']", "allowed_paths", "begin it with / or ~/"),
        ("allowed_users = ['no such user']", "allowed_users", "there is no user"),
        ("allowed_users = [-1]", "allowed_users", "is not the number of a user"),
        ("webhook_url = 'ftp://x'", "webhook_url", "not a web address"),
        ("webhook_events = ['on-fire']", "webhook_events.0", "'on-start', 'on-finish'"),
        ("[[budgets]]\nper = 'day'", "budgets.0", "give max_cost_usd or max_tokens"),
        ("[[budgets]]\nper = 'week'\nmax_tokens = 1", "budgets.0.per", "'day'"),
        ("[[budgets]]\nmax_cost_usd = 0", "budgets.0.max_cost_usd", "greater than 0"),
        ("[[budgets]]\nmax_token = 1", "budgets.0.max_token", "there is no option"),
        ("budgets = 5", "budgets", "[[budgets]]"),
        ("slots_by_tool = {gemini = 0}", "slots_by_tool.gemini", "greater than or equal to 1"),
    ],
)
def test_a_mistake_names_file_place_and_remedy(
    workspace: Workspace, text: str, place: str, says: str
) -> None:
    write(workspace, text)
    with pytest.raises(ConfigError) as caught:
        load(workspace)
    assert caught.value.file == workspace.configs / "agent.toml"
    assert caught.value.place is not None
    assert place in caught.value.place
    assert says in str(caught.value)
    assert caught.value.remedy


def test_a_mistake_does_not_repeat_a_secret(workspace: Workspace) -> None:
    """The message is logged and mailed."""
    write(workspace, "webhook_url = ['https://example.org/t0ken']")
    with pytest.raises(ConfigError, match="is not text") as caught:
        load(workspace)
    assert "t0ken" not in str(caught.value)
    (workspace.configs / "tools.toml").write_text("[tools.gemini.env]\nGEMINI_API_KEY = 424242\n")
    with pytest.raises(ConfigError, match="is not text") as caught:
        Registry.load(workspace)
    assert "424242" not in str(caught.value)


def test_file_that_is_not_utf8_or_not_a_file(workspace: Workspace) -> None:
    """Neither is taken for an empty file."""
    file = workspace.configs / "agent.toml"
    file.write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError, match="byte 8 is not UTF-8"):
        load(workspace)
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(workspace)


def test_webhook_address_stays_out_of_logs(workspace: Workspace) -> None:
    """Such an address often holds a token."""
    write(workspace, "webhook_url = 'https://example.org/t0ken'")
    config = load(workspace)
    assert config.webhook_url == "https://example.org/t0ken"
    assert "t0ken" not in repr(config)


def test_sample_of_agent_toml_shows_every_option_with_its_default(workspace: Workspace) -> None:
    sample = (SAMPLES / "agent.toml").read_text()
    assert tomllib.loads(sample) == {}, "the sample changes nothing"
    options = tomllib.loads(OPTION.sub("", sample))
    assert set(options) == set(AgentConfig.model_fields)
    assert set(options["slurm"]) == set(SlurmOptions.model_fields)
    shown = AgentConfig.model_validate(options).model_dump()
    own = {"name", "allowed_paths", "webhook_url", "budgets", "slurm"}
    own |= {f"{what}_by_{whose}" for what in ("slots", "launcher") for whose in ("tool", "group")}
    assert {k: v for k, v in shown.items() if k not in own} == AgentConfig().model_dump(exclude=own)
    write(workspace, OPTION.sub("", sample))
    assert load(workspace).slots_by_tool == {"gemini": 1}


def test_sample_of_tools_toml_shows_every_option(workspace: Workspace) -> None:
    sample = (SAMPLES / "tools.toml").read_text()
    assert tomllib.loads(sample) == {}, "the sample changes nothing"
    text = OPTION.sub("", sample)
    shown = tomllib.loads(text)
    assert set(shown["tools"]["mytool"]) == set(ToolDefinition.model_fields) - {"name"}
    commands = shown["tools"]["mytool"]["commands"].values()
    assert {option for command in commands for option in command} == set(CommandDefinition.model_fields)
    (workspace.configs / "tools.toml").write_text(text)
    registry = Registry.load(workspace)
    mytool, gemini = registry.get("mytool"), registry.get("gemini")
    assert mytool is not None
    assert gemini is not None
    assert {"explain", "changelog", "analyze-media"} <= set(mytool.commands)
    assert "changelog" in gemini.commands
    assert gemini.slots == 1


def test_a_configuration_that_is_no_file_blocks_nobody(workspace: Workspace) -> None:
    """A FIFO in its place is said, not waited for."""
    os.mkfifo(workspace.configs / "agent.toml")
    with pytest.raises(ConfigError, match="put a regular file there"):
        load(workspace)

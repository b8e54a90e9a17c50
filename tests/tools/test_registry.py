from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.config import AgentConfig, ConfigError
from agent.tools.registry import Registry

if TYPE_CHECKING:
    from spool.workspace import Workspace

MINE = '[tools.mine]\nargv = ["$executable", "$prompt"]\nexecutables = ["mine"]\n'


def load(workspace: Workspace, text: str) -> Registry:
    (workspace.configs / "tools.toml").write_text(text)
    return Registry.load(workspace)


def test_built_in_tools(registry: Registry) -> None:
    assert registry.names() == (
        *("aider", "blackbox", "claude", "codex", "collab", "crush", "gemini", "opencode", "qwen", "shell"),
    )
    assert registry.get("nothing") is None
    for name in set(registry.names()) - {"collab", "shell"}:
        tool = registry.get(name)
        assert tool is not None
        assert {"analyze-codebase", "analyze-project", "generate-api"} <= set(tool.commands)
        assert {"process-documents", "analyze-media"} <= set(tool.commands)


def test_a_table_changes_only_what_it_names(workspace: Workspace) -> None:
    registry = load(
        workspace,
        '[tools.gemini]\nslots = 3\nenv.A = "b"\n'
        '[tools.gemini.commands.analyze-media]\nprompt = "See $media_dir."\n',
    )
    gemini = registry.get("gemini")
    assert gemini is not None
    assert gemini.executables == ("gemini", "gemini-cli")
    assert gemini.env == {"GEMINI_CLI_TRUST_WORKSPACE": "true", "A": "b"}
    assert gemini.commands["analyze-media"].prompt == "See $media_dir."
    assert gemini.commands["analyze-media"].required == ("media_dir",)
    qwen = registry.get("qwen")
    assert qwen is not None
    assert qwen.commands["analyze-media"].prompt != "See $media_dir."


def test_an_empty_place_is_unset(workspace: Workspace) -> None:
    """Otherwise a built-in virtual environment could not be switched off."""
    qwen = load(workspace, '[tools.qwen]\nvirtual_env = ""\n').get("qwen")
    assert qwen is not None
    assert qwen.virtual_env is None


def test_agent_toml_has_the_last_word_on_slots(workspace: Workspace) -> None:
    registry = load(workspace, "[tools.gemini]\nslots = 3\n[tools.qwen]\nslots = 1\n")
    assert registry.slots(AgentConfig(slots_by_tool={"gemini": 2, "shell": 5})) == {
        "collab": 4,
        "gemini": 2,
        "qwen": 1,
        "shell": 5,
    }


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("[tool.x]\n", "tool", "write [tools.NAME]"),
        ("tools = 1\n", "tools", "is not a table"),
        ("[tools]\nx = 1\n", "tools.x", "write [tools.x]"),
        ("[tools.shell]\nname = 'x'\n", "tools.shell.name", "no option 'name'"),
        ("[tools.shell]\nsluts = 2\n", "tools.shell.sluts", "did you mean 'slots'"),
        ("[tools.shell]\nslots = 'x'\n", "tools.shell.slots", "is not a whole number"),
        ("[tools.new]\n", "tools.new.argv", "it is missing"),
        ("[tools.'a b']\nargv = ['/x', '$prompt']\n", "tools.a b", "is not a name"),
        ("[tools.x]\nargv = ['$executable', '$prompt']\n", "tools.x", "set `executables` or `path`"),
        ("[tools.x]\nargv = ['ls', '$prompt']\n", "tools.x", "an absolute path"),
        ("[tools.x]\nargv = []\n", "tools.x", "does not begin with a program"),
        ("[tools.x]\nargv = ['/bin/ls']\n", "tools.x", "neither $prompt nor $command"),
        ("[tools.x]\nargv = ['/bin/ls', '$(id)']\n", "tools.x.argv", "$$ for a dollar sign"),
        ("[tools.shell]\nsession_new = ['-s']\n", "tools.shell", "argv has no $session"),
        ("[tools.qwen]\nsession_new = ['$prompt']\n", "tools.qwen", "no variable but $session_id"),
        ("[tools.shell.approval]\nauto = ['-y']\n", "tools.shell", "argv has no $approval"),
        (
            "[tools.gemini.approval]\nyolo = ['-y']\n",
            "tools.gemini.approval.yolo",
            "'read-only', 'ask' or 'auto'",
        ),
        ("[tools.shell.commands.a]\nprompt = 'x'\n", "tools.shell.commands", "argv has no $prompt"),
        ("[tools.gemini]\ncommands = 1\n", "tools.gemini.commands", "1 is not a table"),
        ("[tools.gemini]\nexecutables = ['']\n", "tools.gemini.executables", "it is empty"),
        ("[tools.gemini]\npath = 'bin/x'\n", "tools.gemini.path", "begin it with / or ~/"),
        (MINE + "[tools.mine.commands.a]\nprompt = '$x'\n", "tools.mine.commands.a", "list it in `required`"),
        ("[commands.a]\nprompt = '$x'\n", "commands.a", "list it in `required`"),
        ("[commands.a]\nrequired = ['x']\n", "commands.a.prompt", "it is missing"),
        ("[commands.a]\nprompt = '$listing'\n", "commands.a", "name the folder's parameter in `lists`"),
        ("[commands.a]\nprompt = 'x'\nlists = 'x'\n", "commands.a", "not one of `paths`"),
        (
            "[commands.a]\nprompt = 'x'\npaths = ['x']\nlists = 'x'\nbatched = true\n",
            "commands.a",
            "add batch_size = 10",
        ),
        ("[tools.shell]\nscript_argv = ['sh', '$script']\n", "tools.shell", "script_argv begins with 'sh'"),
        ("[tools.gemini]\ninteractive_argv = [['-i']]\n", "tools.gemini", "interactive_argv does not begin"),
        ("[tools.shell]\nfolder_argv = ['-d', '$folder']\n", "tools.shell", "argv has no $folders"),
        ("[tools.gemini]\nfolder_argv = ['$prompt']\n", "tools.gemini", "no variable but $folder"),
    ],
)
def test_a_mistake_names_file_place_and_remedy(
    workspace: Workspace, text: str, place: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(workspace, text)
    assert caught.value.file == workspace.configs / "tools.toml"
    assert (caught.value.place or "").startswith(place)
    assert says in str(caught.value)
    assert caught.value.remedy

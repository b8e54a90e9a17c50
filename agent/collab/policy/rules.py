"""The policy: builtin.toml beside this file, and configs/policy.toml laid over it.

It says which programs only look, and who may do what.

builtin.toml explains its options. Programs that nobody wrote down are unknown, and unknown is asked
about. No file can make the `CATASTROPHIC` effects run without asking.
"""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatchcase
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from agent.collab.policy.arguments import OPTIONAL
from agent.collab.policy.rating import CATASTROPHIC, Decision, Effect, stricter
from agent.config import ConfigError, config_error, merged, read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spool.workspace import Workspace

POLICY_FILE: Final = "policy.toml"
_STRICT: Final = ConfigDict(frozen=True, extra="forbid")


def _check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text[:100]!r} is not a regular expression: {error}") from None
    return text


Pattern = Annotated[StrictStr, AfterValidator(_check_pattern)]


class Program(BaseModel):
    """How far a program only does what its `effect` says.

    Args:
        effect: what it does when its arguments are as below; anything else is `opaque`.
        options: the options it may be given, divided by blanks; `any` for all. `-n=` and `--lines=` take a
            value, `-o=/dev/null` or `-o=-|/dev/null` only these, `--color?` one that must be attached.
        requires: at least one of these options must be given.
        operands: what its other arguments are: `none`, `data` (text), `meta` (files of which it tells names
            and sizes), `content` (files that it prints), `tree` (folders that it prints), `host`,
            `url`.
        first: the first operand is a `pattern` and no file, or a program in `sed`, `awk` or `jq`.
        most: so many operands at most.
        matches: what each operand must look like.
        values: what the value of each option must look like.
        bundle: the first word may be options without their dash, as in `ps aux`.
        last: what the last operand must look like.
        public: of the files that it is given it prints nothing secret.
        grammar: arguments that follow rules of their own, which the code knows.
        first_options: options that give the pattern or program instead of the first operand.
        recursive: options with which it goes through whole folders.
        ordered: its first operand ends the options.
        tame: none of its options, listed or not, writes, runs or sends anything: a file whose name begins
            with a dash does no harm.
        obeys_folder: settings in the folder where it works can make it run commands, as a repository's can.
        uploads: an argument that begins like this sends a file away.
        otherwise: what it may do with arguments that are not listed; `opaque` unless set.
        subcommands: for programs whose first operand chooses what they do; "" when there is none.
        dry_run: an option with which it only says what it would do.
    """

    model_config = _STRICT
    effect: Effect = "read"
    options: StrictStr = ""
    requires: StrictStr = ""
    operands: Literal["none", "data", "meta", "content", "tree", "host", "url"] = "none"
    first: Literal["pattern", "sed", "awk", "jq"] | None = None
    most: Annotated[StrictInt, Field(ge=0)] | None = None
    matches: Pattern | None = None
    last: Pattern | None = None
    public: bool = False
    values: Pattern | None = None
    bundle: bool = False
    grammar: Literal["find", "xargs", "shell", "watch", "env", "command", "ssh"] | None = None
    first_options: StrictStr = ""
    recursive: StrictStr = ""
    ordered: bool = False
    tame: bool = False
    obeys_folder: bool = False
    uploads: Pattern | None = None
    otherwise: Effect | None = None
    subcommands: dict[StrictStr, Program] = Field(default_factory=dict)
    dry_run: StrictStr = ""

    @cached_property
    def flags(self) -> dict[str, str | None]:
        """Option → None when it takes no value, "" for any value, else the only one."""
        known: dict[str, str | None] = {}
        for option in self.options.split():
            name, equals, value = option.partition("=")
            if not equals and name.endswith("?"):
                known[name[:-1]] = OPTIONAL
            else:
                known[name] = value if equals else None
        return known


class Wrapper(BaseModel):
    """A program that runs the command behind its own arguments.

    Args:
        operands: so many arguments of its own stand before the command.
        effect: what it adds; None when it only runs it.
    """

    model_config = _STRICT
    options: StrictStr = ""
    operands: Annotated[StrictInt, Field(ge=0)] = 0
    effect: Effect | None = None

    @cached_property
    def flags(self) -> dict[str, str | None]:
        """See `Program.flags`."""
        return Program(options=self.options).flags


class Exemption(BaseModel):
    """A command that may run without asking, word for word."""

    model_config = _STRICT
    command: StrictStr
    roles: tuple[StrictStr, ...] = ("*",)
    hosts: tuple[StrictStr, ...] = ("*",)


class Paths(BaseModel):
    """Which paths are special; `*` stops at a slash, `**` does not."""

    model_config = _STRICT
    secret: tuple[StrictStr, ...] = ()
    secret_names: tuple[StrictStr, ...] = ()
    secret_trees: tuple[StrictStr, ...] = ()
    persist: tuple[StrictStr, ...] = ()
    devices: tuple[StrictStr, ...] = ()
    sinks: tuple[StrictStr, ...] = ()
    untrusted: tuple[StrictStr, ...] = ()
    vital: tuple[StrictStr, ...] = ()
    vital_words: tuple[StrictStr, ...] = ()


class Names(BaseModel):
    """Environment variables: which may be set for a command, and which never in a script."""

    model_config = _STRICT
    harmless: tuple[StrictStr, ...] = ()
    dangerous: tuple[StrictStr, ...] = ()
    harmless_values: tuple[StrictStr, ...] = ()
    secret: tuple[StrictStr, ...] = ()


class Decisions(BaseModel):
    """Effect → decision, of one role or host."""

    model_config = _STRICT
    effects: dict[Effect, Decision] = Field(default_factory=dict)


class Policy(BaseModel):
    """Everything that decides."""

    model_config = _STRICT
    effects: dict[Effect, Decision]
    roles: dict[StrictStr, Decisions] = Field(default_factory=dict)
    hosts: dict[StrictStr, Decisions] = Field(default_factory=dict)
    programs: dict[StrictStr, Program]
    wrappers: dict[StrictStr, Wrapper]
    known: dict[Effect, StrictStr]
    paths: Paths
    environment: Names
    allow: tuple[Exemption, ...] = ()

    @classmethod
    def load(cls, workspace: Workspace) -> Policy:
        """Return the policy of a workspace.

        Raises:
            ConfigError: configs/policy.toml cannot be used.
        """
        file = workspace.configs / POLICY_FILE
        return cls._of(file, merged(_shipped(), _by_name(read_toml(file))))

    @classmethod
    def shipped(cls) -> Policy:
        """Return the policy that comes with the package."""
        return cls._of(Path(POLICY_FILE), _shipped())

    @classmethod
    def _of(cls, file: Path, tables: dict[str, Any]) -> Policy:
        try:
            policy = cls.model_validate(tables)
        except ValidationError as error:
            raise config_error(file, error, tuple(cls.model_fields)) from None
        for place, decisions in policy.decisions():
            if loose := sorted(e for e in CATASTROPHIC if decisions.get(e) == "allow"):
                raise ConfigError(
                    file, f"{loose[0]} is never allowed", 'write "ask" or "deny"', place=f"{place}.{loose[0]}"
                )
        return policy

    def decisions(self) -> Iterator[tuple[str, dict[Effect, Decision]]]:
        """Yield every table of decisions and where it stands."""
        yield "effects", self.effects
        for name, role in self.roles.items():
            yield f"roles.{name}.effects", role.effects
        for name, host in self.hosts.items():
            yield f"hosts.{name}.effects", host.effects

    def decides(self, effect: Effect, role: str, host: str | None) -> Decision:
        """Return what a role may do on a host; where both say something, the stricter holds."""
        said = [
            decisions.effects[effect]
            for decisions in (self.roles.get(role), *self._of_host(host))
            if decisions is not None and effect in decisions.effects
        ]
        return stricter(*said) if said else self.effects.get(effect, "ask")

    def _of_host(self, host: str | None) -> list[Decisions]:
        return [found for pattern, found in self.hosts.items() if host and fnmatchcase(host, pattern)]

    def excepted(self, words: tuple[str, ...], role: str, host: str | None) -> bool:
        """Tell whether exactly this command was allowed to this role on this host."""
        text = " ".join(words)
        return any(
            entry.command == text
            and any(fnmatchcase(role, pattern) for pattern in entry.roles)
            and any(fnmatchcase(host or "", pattern) for pattern in entry.hosts)
            for entry in self.allow
        )

    @cached_property
    def effect_of_name(self) -> dict[str, Effect]:
        """Program → what it is known to do, for those that never run unasked."""
        return {name: effect for effect, names in self.known.items() for name in names.split()}

    def known_effect(self, program: str) -> Effect | None:
        """Return what a program is known to do; None when nobody wrote it down."""
        found = self.effect_of_name.get(program)
        if found is None:
            patterns = ((p, e) for p, e in self.effect_of_name.items() if "*" in p)
            found = next((effect for pattern, effect in patterns if fnmatchcase(program, pattern)), None)
        return found


def _shipped() -> dict[str, Any]:
    return _by_name(
        tomllib.loads(resources.files("agent.collab.policy").joinpath("builtin.toml").read_text("utf-8"))
    )


def _by_name(tables: dict[str, Any]) -> dict[str, Any]:
    """Give each name of `[programs."ls dir"]` a table of its own."""
    result = dict(tables)
    for section in ("programs", "wrappers"):
        named = tables.get(section)
        if isinstance(named, dict):
            result[section] = {
                name: _subcommands(table) for names, table in named.items() for name in names.split()
            }
    return result


def _subcommands(table: Any) -> Any:
    if not isinstance(table, dict) or not isinstance(table.get("subcommands"), dict):
        return table
    named = table["subcommands"]
    split = {name: _subcommands(sub) for names, sub in named.items() for name in (names.split() or [""])}
    return {**table, "subcommands": split}

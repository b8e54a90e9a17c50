"""A group whose help reads a table: a command's module is imported when the command is called."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, ClassVar

import click

from agent.cli.command import Group

if TYPE_CHECKING:
    from collections.abc import Mapping


class LazyGroup(Group):
    """Imports a command when it is called, not before.

    A subclass sets `table`: name → module, in which the command has the same name with `_command` behind it
    (a dash is an underscore there), and its first sentence.
    """

    table: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the table's order: by what a person does, not by alphabet."""
        del ctx
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return the command."""
        del ctx
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(self.table[cmd_name][0])
        command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing what it names."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in self.table.items()])

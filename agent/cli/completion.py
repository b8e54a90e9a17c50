"""`aispool completion SHELL`: the script that makes a shell complete commands, options, ids and tools."""

from __future__ import annotations

import click

from agent.cli.command import command


@command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, *, shell: str) -> None:
    """Print the completion script of a shell. Task ids complete from the workspace.

    Examples:
      aispool completion bash > ~/.local/share/bash-completion/completions/aispool
      eval "$(aispool completion zsh)"                 in ~/.zshrc
      aispool completion fish > ~/.config/fish/completions/aispool.fish
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only where it is used

    kind = get_completion_class(shell)
    assert kind is not None
    group = ctx.find_root().command
    # bash's own check of its version would need a bash here; the script is for where it is sourced
    script = kind(group, {}, "aispool", "_AISPOOL_COMPLETE")
    click.echo(script.source_template % script.source_vars())

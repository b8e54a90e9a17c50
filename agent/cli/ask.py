"""`aispool ask TEXT`: the plain chat, which hands over to the pipeline by the rules of roles.toml."""

from __future__ import annotations

import getpass

import click

from agent.cli.command import command
from agent.cli.place import Place, json_option, pass_place, print_json


@command("ask")
@click.argument("text")
@click.option("--plain", is_flag=True, help="Never hand over: one provider answers.")
@click.option("--dry-run", is_flag=True, help="Ask nobody: say which rule fires, and who would answer.")
@click.option("--detach", is_flag=True, help="When it is handed over: print the id, and do not follow.")
@json_option
@pass_place
def ask_command(place: Place, *, text: str, plain: bool, dry_run: bool, detach: bool, as_json: bool) -> None:
    """Ask one provider, or, by stated rules, all roles of the collaborative pipeline.

    A question that is complex, wants several perspectives, touches the system or needs a safety check is
    handed over; the rule that fired is named.

    Examples:
      aispool ask "what does the acronym DNS stand for?"
      aispool ask "my disk is full, what can I delete?"
      aispool ask --dry-run "¿puedo actualizar el kernel en caliente?"
      aispool ask --plain "why is my laptop slow?"
    """
    from agent.collab.roles import load  # noqa: PLC0415 - `--help` needs none of it
    from agent.collab.rules import hand_over  # noqa: PLC0415

    if dry_run:
        from agent.cli.collab_explain import explain  # noqa: PLC0415

        explain(place, text, kind=None, domain=None, as_json=as_json)
        return
    said = hand_over(text, load(place.workspace))
    if plain or said.rule is None:
        _answer_plainly(place, text, as_json=as_json)
        return
    from agent.cli.collab_run import submit_and_follow  # noqa: PLC0415

    click.echo(f"aispool: handed over by the rule {said.rule} (--plain asks one provider)", err=True)
    asked = {"question": text, "rule": said.rule}
    submit_and_follow(place, asked, kind=said.type, detach=detach, as_json=as_json)


def _answer_plainly(place: Place, text: str, *, as_json: bool) -> None:
    from agent.sanitize import plain  # noqa: PLC0415
    from agent.service.collab.chatting import answer_plainly  # noqa: PLC0415

    reply = answer_plainly(place.workspace, text, by=getpass.getuser())
    if as_json:
        from agent.inspect.documents import document  # noqa: PLC0415

        print_json(
            document(
                place.workspace,
                text=reply.text,
                provider=reply.provider,
                model=reply.model,
                usage=reply.usage.model_dump(mode="json"),
            )
        )
        return
    click.echo(plain(reply.text).rstrip("\n"))

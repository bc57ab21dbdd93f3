"""`andon user`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any

import typer

from services.cli.console import FormatOption, OutputForm, fail, message

app = typer.Typer(no_args_is_help=True, help="Say who may sign in, and in which role.")
token_app = typer.Typer(no_args_is_help=True, help="Manage API tokens: programs show one in place of signing in.")
app.add_typer(token_app, name="token")
Mail = Annotated[str, typer.Argument(help="Mail address of the account.")]


class RoleChoice(StrEnum):
    """A viewer reads; a member works on tickets; an owner also changes policies; an admin also manages accounts."""

    VIEWER = "viewer"
    MEMBER = "member"
    OWNER = "owner"
    ADMIN = "admin"


class ScopeChoice(StrEnum):
    """read: sees everything; work: also changes tickets; own: also sets baselines. Never more than the account."""

    READ = "read"
    WORK = "work"
    OWN = "own"


def _refused(command: Callable[..., None]) -> Callable[..., None]:
    """Print why something was refused, and exit with 1."""

    @wraps(command)
    def told(**options: Any) -> None:
        from services.tickets.access.tokens import TokenRefused
        from services.tickets.accounts import AccountRefused

        try:
            command(**options)
        except (AccountRefused, TokenRefused) as error:
            raise fail(error) from None

    return told


@app.command("first")
@_refused
def first() -> None:
    """Print the link at which the first admin makes an account, while there is none."""
    from services.cli import users

    users.first()


@app.command("add")
@_refused
def add(
    email: Mail,
    role: Annotated[RoleChoice, typer.Option(help="What they may do.")] = RoleChoice.MEMBER,
    name: Annotated[str, typer.Option(help="Name, as pages and the history of tickets show it.")] = "",
) -> None:
    """Make an account, and print a link at which a password is chosen."""
    from services.cli import users

    users.add(email, name, role.value)


@app.command("reset")
@_refused
def reset(email: Mail) -> None:
    """Print a link at which a new password is chosen. The old one works until then."""
    from services.cli import users

    users.reset(email)


@app.command("role")
@_refused
def role(email: Mail, role: Annotated[RoleChoice, typer.Argument(help="What they may do from now on.")]) -> None:
    """Change what somebody may do, at once."""
    from services.cli import users

    users.set_role(email, role.value)
    message(f"{email} is {role.value} now")


@app.command("disable")
@_refused
def disable(email: Mail) -> None:
    """Sign somebody out everywhere, and let them in no more."""
    from services.cli import users

    users.disable(email)
    message(f"{email} is signed out, and cannot sign in")


@app.command("enable")
@_refused
def enable(email: Mail) -> None:
    """Let somebody who was disabled in again."""
    from services.cli import users

    users.enable(email)
    message(f"{email} can sign in again")


@app.command("export")
@_refused
def export(email: Mail) -> None:
    """Print all that Andon keeps of a person, as JSON. Passwords, sessions and links are kept as hashes only."""
    from services.cli import personal

    personal.export(email)


@app.command("forget")
@_refused
def forget(email: Mail) -> None:
    """Erase an account, and what mails keep of an address. Tickets keep what was done to them, by somebody."""
    from services.cli import personal
    from services.notifier.personal import ForgettingRefused

    try:
        personal.forget(email)
    except ForgettingRefused as error:
        raise fail(error) from None
    message(f"{email} is forgotten")


@app.command("list")
@_refused
def list_(form: FormatOption = OutputForm.TEXT) -> None:
    """List all accounts with their roles."""
    from services.cli import users

    users.show(form)


@token_app.command("add")
@_refused
def add_token(
    email: Mail,
    name: Annotated[str, typer.Option(help="What will use it.")],
    scope: Annotated[ScopeChoice, typer.Option(help="What it may do.")] = ScopeChoice.READ,
    days: Annotated[int, typer.Option(help="Days until it expires, at most 365.")] = 90,
) -> None:
    """Make a token for an account and print it, once."""
    from services.cli import users

    users.add_token(email, name, scope.value, days)


@token_app.command("list")
@_refused
def list_tokens(form: FormatOption = OutputForm.TEXT) -> None:
    """List the tokens of all accounts, without the tokens themselves."""
    from services.cli import users

    users.show_tokens(form)


@token_app.command("revoke")
@_refused
def revoke_token(
    number: Annotated[int, typer.Argument(help="Its number, as token list prints it.", min=1, max=2147483647)],
) -> None:
    """Take a token out of use, at once."""
    from services.cli import users

    users.revoke_token(number)
    message(f"token {number} is revoked")

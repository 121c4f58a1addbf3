"""`wallet worker`: background work, such as expiries, top-ups and reconciliation."""

import click

from wallet_service.settings import InvalidSetting, load_settings


@click.command("worker")
def command() -> None:
    """Run background work alone, with the servers named in WALLET_*.

    Any number may run: one of them leads, the others wait to take over.
    """
    try:
        settings = load_settings()
    except InvalidSetting as error:
        raise click.ClickException(str(error)) from None
    import uvloop

    from wallet_service.worker import work

    uvloop.run(work(settings))

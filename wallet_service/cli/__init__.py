"""The command `wallet`: one file a command, each imported only when it runs."""

import importlib
from typing import Final

import click

# Every import costs all commands a start; these lines are all that is known of the others.
_COMMANDS: Final = {
    "up": "Bring the whole service up on this machine.",
    "serve": "Run the API alone, with the servers named in WALLET_*.",
    "worker": "Run background work alone, with the servers named in WALLET_*.",
    "check": "Check that everything holds that must always hold.",
    "bill": "Bill what is due, or show what would be billed.",
    "migrate": "Bring the database to this version.",
    "catalog": "Import price lists of models.",
    "keys": "Create, list and revoke API keys.",
    "report": "Say what the books say: revenue, liabilities, trial balances.",
    "settings": "Print all settings as Markdown.",
    "rerate": "Say what past usage would have cost under another plan.",
    "replay": "Play a trace of model calls through the API.",
    "test": "Run the tests; arguments go to pytest.",
}


class LazyGroup(click.Group):
    """Knows its commands by name, and imports one when it is called or asked for its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"wallet_service.cli.{cmd_name}")
        return module.command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["--help"]})
@click.version_option(package_name="prepaid-wallet")
def main() -> None:
    """Prepaid wallets and real-time authorization for AI products."""

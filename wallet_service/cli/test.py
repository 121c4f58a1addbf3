"""`wallet test`: all tests of a checkout."""

import os
import sys
from pathlib import Path

import click

_PROJECT = Path(__file__).parents[2]
# The whole suite is shared out by file, each process with servers of its own: one more than there
# are processors, since tests also wait for their servers' disks.
_PROCESSES_MAX = 5


@click.command(
    "test",
    # pytest has options of its own, --help among them.
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run the tests; arguments go to pytest."""
    if not (_PROJECT / "tests").is_dir():
        raise click.ClickException("the tests are part of a checkout, not of the installed package")
    if not Path.cwd().is_relative_to(_PROJECT):
        os.chdir(_PROJECT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *(arguments or _shared_out())])


def _shared_out() -> tuple[str, ...]:
    """How pytest runs everything on this machine, saying what took longest."""
    processes = min((os.cpu_count() or 1) + 1, _PROCESSES_MAX)
    return ("-n", str(processes), "--dist", "loadfile", "--durations", "40")

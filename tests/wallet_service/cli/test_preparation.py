"""The child that prepares the database of `wallet up`, where it does not live to do it."""

import asyncio
import socket
import subprocess
import sys

import click
import pytest

from wallet_service.cli.preparation import Preparation, Task


def test_a_child_that_died_before_it_read_its_task_is_told_in_words():
    child = subprocess.Popen((sys.executable, "-I", "-S", "-c", ""))
    ours, theirs = socket.socketpair()
    theirs.close()
    task = Task(database_url="", server_url=None, service_url="", known=None)
    with pytest.raises(click.ClickException, match="the database could not be prepared"):
        asyncio.run(Preparation(child.pid, ours).run(task))

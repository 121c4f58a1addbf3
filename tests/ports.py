"""Ports of loopback for servers that cannot choose one themselves."""

import contextlib
import random
import socket

# Below those that the kernel gives to whoever asks for any: nobody gets one between our look and
# the server's start, or between its stop and its next start.
_FIRST, _LAST = 15_000, 32_000


def free_ports(count: int) -> list[int]:
    """So many ports that nobody uses."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            port = random.randint(_FIRST, _LAST)
            one = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
        return found

"""Where unix sockets live: their paths may have about 100 bytes, and a checkout may lie deep."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final

# The kernel's limit is 107 on Linux and 103 on macOS; the longest name here has 20.
_FOLDER_BYTES_MAX: Final = 80
_LINK: Final = "sockets"


def socket_folder(run_folder: Path) -> Path:
    """Return a folder, for our user alone, whose path is short enough for sockets.

    That is `run_folder` itself, or else a temporary one to which `run_folder/sockets` links, so
    that every process that knows the data directory finds the same.
    """
    run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if len(os.fsencode(run_folder)) <= _FOLDER_BYTES_MAX:
        return run_folder
    link = run_folder / _LINK
    if link.is_symlink():
        target = link.readlink()
        if target.is_dir() and target.stat().st_uid == os.geteuid():
            return target
        link.unlink()
    target = Path(tempfile.mkdtemp(prefix="wallet-"))
    link.symlink_to(target)
    return target


def release_socket_folder(run_folder: Path) -> None:
    """Remove the temporary folder, if there is one and nothing is left in it."""
    link = run_folder / _LINK
    if link.is_symlink():
        with contextlib.suppress(OSError):
            link.readlink().rmdir()
            link.unlink()

"""Become another program that cannot outlive its parent. A script; `process.py` builds its command.

    spawn.py PARENT_PID SIGNAL MODE OWNED -- PROGRAM ARGUMENT…

SIGNAL  sent to the program by the kernel when the parent is gone, even by `kill -9` (Linux only)
MODE    `keep`: stay who we are; `unprivileged`: never be root, which Postgres refuses to run as
OWNED   directory that the program must be able to write to

A program of its own and not a `preexec_fn`, since code between fork and exec may deadlock where
there are threads. It starts with `python -I -S`: nothing but the standard library is there.
"""

import contextlib
import ctypes
import os
import pwd
import sys
from pathlib import Path
from typing import Final

CLONE_NEWUSER: Final = 0x10000000
PR_SET_PDEATHSIG: Final = 1
PR_SET_NAME: Final = 15
PR_SET_KEEPCAPS: Final = 8
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_RAISE: Final = 2
CAP_DAC_OVERRIDE: Final = 1
CAPABILITY_VERSION_3: Final = 0x20080522
# The server looks its own user up by number, so it has to be one that every system knows.
UNPRIVILEGED_USER: Final = "nobody"


def main(arguments: list[str]) -> None:
    """Change what has to change, then become the program."""
    parent_pid, death_signal, mode, owned, separator, *program = arguments
    assert separator == "--", arguments
    if mode == "unprivileged" and os.geteuid() == 0:
        drop_root(Path(owned))
    die_with_parent(int(parent_pid), int(death_signal))
    os.execv(program[0], program)


def drop_root(owned: Path) -> None:
    """Stop being root in the eyes of the program.

    In a user namespace root is merely shown as nobody: files stay root's, and a checkout under a
    0700 home works. Containers often forbid namespaces; then really become nobody, who is given
    the directory, and may pass through other people's directories on the way to it.
    """
    nobody = pwd.getpwnam(UNPRIVILEGED_USER)
    # A directory that the other way left behind is of no use to this one.
    own(owned, 0, 0)
    try:
        enter_user_namespace(nobody.pw_uid, nobody.pw_gid)
    except OSError:
        own(owned, nobody.pw_uid, nobody.pw_gid)
        become(nobody.pw_uid, nobody.pw_gid)


def enter_user_namespace(uid: int, gid: int) -> None:
    """Show root to itself as another user; raises OSError where that is not allowed."""
    if sys.platform != "linux":
        message = "user namespaces are Linux's"
        raise OSError(message)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    # Without this the kernel refuses the mapping of groups.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} 0 1")
    Path("/proc/self/gid_map").write_text(f"{gid} 0 1")


def become(uid: int, gid: int) -> None:
    """Be another user for good, keeping the one right to pass closed directories if we have it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux":
        libc.prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if sys.platform == "linux":
        right = 1 << CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        # Effective, permitted, inheritable; each in two halves, of which the second stays empty.
        data = (ctypes.c_uint32 * 6)(right, right, right, 0, 0, 0)
        if libc.capset(header, data) == 0:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def own(folder: Path, uid: int, gid: int) -> None:
    """Give a directory and all in it to a user, unless it is theirs already."""
    if not folder.exists() or folder.stat().st_uid == uid:
        return
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.chown(Path(parent, name), uid, gid, follow_symlinks=False)
        os.chown(parent, uid, gid)


def die_with_parent(parent_pid: int, death_signal: int) -> None:
    """Ask the kernel for a signal when the parent ends; end now if it already has."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent_pid:
        os._exit(1)


def name_process(name: str) -> None:
    """Give this process a short name of its own among those forked from the same one."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NAME, name.encode())


if __name__ == "__main__":
    main(sys.argv[1:])

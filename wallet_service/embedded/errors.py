"""What may go wrong with a child process.

EmbeddedError
├── ProgramNotFound     no binary anywhere; the message says how to get one
├── AlreadyRunning      another supervisor uses this directory
└── StartFailed         it ended, or was not ready in time; the message shows its last words
"""


class EmbeddedError(Exception):
    """A server could not be started; the message is for the person at the terminal."""


class ProgramNotFound(EmbeddedError):
    """No binary anywhere."""


class AlreadyRunning(EmbeddedError):
    """Somebody else's process uses this directory."""


class StartFailed(EmbeddedError):
    """It ended before it was ready, or took too long."""

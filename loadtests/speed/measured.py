"""What one run has seen, whoever drove it."""

from msgspec import Struct


class Measured(Struct, frozen=True, kw_only=True):
    """Some connections, kept busy for some seconds."""

    seconds: float
    requests: int
    """Answered, whatever the answer was."""
    errors: int
    """Answers other than 200, and requests that got none."""
    p50_ms: float
    p99_ms: float
    done: int
    """Requests that were answered 200; of pairs, the first ones."""
    captured: int = 0
    """Of pairs, the second ones."""
    is_paired: bool = False
    is_drained: bool = True
    """Was every request answered before the end? wrk drops those that are under way."""

    @property
    def rate(self) -> float:
        """Requests a second that were answered 200; of pairs, pairs."""
        return (self.captured if self.is_paired else self.done) / self.seconds

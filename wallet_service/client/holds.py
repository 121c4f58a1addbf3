"""A hold in the hands of its caller, and what becomes of it when the caller is done."""

from collections.abc import Generator
from contextlib import contextmanager

from .errors import NotAllowed, WalletError
from .results import Authorization

__all__ = ["OpenHold"]


class OpenHold:
    """Funds set aside. ``authorization`` is what the service last said about them.

    At the end of its ``with`` block a hold is given back as far as it was not captured. One whose
    capture failed is left alone: the usage has happened, and the capture can be sent again.
    """

    def __init__(self, authorization: Authorization) -> None:
        self.authorization = authorization
        self._owes_capture = False

    @property
    def id(self) -> str:
        """The authorization's id, with which another process may settle it."""
        return self.authorization.id

    @property
    def _is_to_be_voided(self) -> bool:
        return self.authorization.status == "held" and not self._owes_capture

    @contextmanager
    def _settling(self) -> Generator[None]:
        """Remember a capture until it is known to have succeeded."""
        self._owes_capture = True
        yield
        self._owes_capture = False

    def _explain(self, failure: WalletError, error: BaseException | None) -> bool:
        """Decide about a void that failed: True if there is nothing to complain about.

        It never hides the error that ended the block; that one gets a note.
        """
        if isinstance(failure, NotAllowed):
            return True  # somebody else, or time, has ended the hold
        if error is None:
            return False
        expires_at = self.authorization.expires_at.isoformat()
        error.add_note(f"hold {self.id} was not voided ({failure}); it expires at {expires_at}")
        return True

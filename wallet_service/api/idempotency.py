"""The header `Idempotency-Key` stands in for a missing `transaction_id`."""

from typing import Annotated, TypeAlias, TypeVar

from litestar.params import HeaderParameter
from msgspec import Struct
from msgspec.structs import replace

_Request = TypeVar("_Request", bound=Struct)

IdempotencyKey: TypeAlias = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="Makes a repeat harmless: the same key and body have one effect. "
        "The same as `transaction_id` in the body.",
    ),
]


def keyed(request: _Request, key: str | None) -> _Request:
    """A request under its key: the body's, or else the header's."""
    if key is None or isinstance(getattr(request, "transaction_id", None), str):
        return request
    return replace(request, transaction_id=key)

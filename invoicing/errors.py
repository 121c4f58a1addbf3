"""What invoicing can refuse, as errors that know no HTTP.

InvoicingError
├── NotFound      no such thing in this organization
├── Invalid       one or more fields are wrong; names each, with stable codes
└── NotAllowed    the thing exists, but its state forbids this
"""

from collections.abc import Mapping, Sequence


class InvoicingError(Exception):
    """Something invoicing refuses."""

    code = "invoicing_error"


class NotFound(InvoicingError):
    """There is no such thing in this organization."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource} not found")
        self.resource = resource
        self.code = f"{resource}_not_found"


class Invalid(InvoicingError):
    """Fields of the request are wrong: `details` maps each to its stable codes."""

    code = "validation_errors"

    def __init__(self, details: Mapping[str, Sequence[str]], message: str = "") -> None:
        super().__init__(
            message or ", ".join(f"{field}: {codes}" for field, codes in details.items())
        )
        self.details = {field: list(codes) for field, codes in details.items()}
        self.message = message

    @classmethod
    def field(cls, name: str, code: str, message: str = "") -> "Invalid":
        """One field is wrong."""
        return cls({name: [code]}, message)

    def under(self, prefix: str) -> "Invalid":
        """The same of fields that are part of another: `filters.0.values` of `values`."""
        details = {f"{prefix}.{field}": codes for field, codes in self.details.items()}
        return Invalid(details, self.message)


class NotAllowed(InvoicingError):
    """The thing exists, but what it has become forbids this."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

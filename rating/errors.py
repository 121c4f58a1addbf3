"""What can go wrong while rating: what the usage lacks, or what the price list lacks.

    RatingError
    ├── UnknownCode        no charge of this card prices the code
    ├── MissingProperty    the usage lacks a property that decides its price
    ├── InvalidQuantity    a quantity is not a number we accept
    ├── InvalidMember      what is to be counted once is no text, number or boolean
    ├── UnknownPrice       the code is priced, but not for this property's value
    ├── InvalidModel       the settings of a charge model make no price (for the catalogue's door)
    ├── InvalidExpression  a metric's expression cannot be read (for the catalogue's door)
    └── ExpressionFailed   a metric's expression has no value for this event

Each names the `field` at fault, so that every door can say which one it was. None knows HTTP.
"""

from __future__ import annotations


class RatingError(Exception):
    """Something cannot be priced; `field` names what is at fault."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class UnknownCode(RatingError):
    """The rate card has no charge for this code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"no charge prices the code {code!r}", field="code")
        self.code = code


class MissingProperty(RatingError):
    """The usage does not carry the property that says how much, or of what kind."""

    def __init__(self, field: str) -> None:
        super().__init__(f"the property {field!r} is missing", field=field)


class InvalidQuantity(RatingError):
    """A quantity is not a finite decimal number within the limits of `rating.quantities`."""

    def __init__(self, field: str) -> None:
        super().__init__(
            f"{field!r} must be a decimal number of at most 30 digits before"
            " and 18 digits after the point",
            field=field,
        )


class InvalidMember(RatingError):
    """The value that a unique count is to count has no name: a list, an object, a giant."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field!r} must be a text, a short number or a boolean", field=field)


class UnknownPrice(RatingError):
    """The charge has prices for some values of `field`, none for this one, and no default price.

    An unknown thing is not a free thing: a charge that lists prices without a default refuses
    what it does not list.
    """

    def __init__(self, code: str, *, field: str) -> None:
        super().__init__(f"{code!r} has no price for this {field!r}", field=field)
        self.code = code


class InvalidModel(RatingError):
    """The settings of a charge model are incomplete or contradictory; `reason` is a stable code."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field!r}: {reason}", field=field)
        self.reason = reason


class InvalidExpression(RatingError):
    """An expression cannot be read at `position` (from 0); `reason` is a stable code."""

    def __init__(self, reason: str, position: int, message: str) -> None:
        super().__init__(f"at character {position + 1}: {message}", field="expression")
        self.reason = reason
        self.position = position


class ExpressionFailed(RatingError):
    """An expression has no value for an event; `field` is the property at fault.

    `field` is empty where no property has a part in it. `reason` is the stable code of a field.
    """

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message, field=field)
        self.reason = reason

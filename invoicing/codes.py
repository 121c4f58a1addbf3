"""Codes that nobody has chosen."""

from collections.abc import Container


def free_code(wanted: str, taken: Container[str]) -> str:
    """The wanted code, with a number behind it where it is taken.

    >>> free_code("seats", {"seats", "seats_2"})
    'seats_3'
    """
    number = 2
    code = wanted
    while code in taken:
        code = f"{wanted}_{number}"
        number += 1
    return code

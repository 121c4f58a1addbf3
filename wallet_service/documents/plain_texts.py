r"""Texts of strangers made fit for a page: what they say stays, what they could do does not.

Names come from customers and from callers. They reach the template as values, never as markup; what
is left to guard against are characters that control (line noise, reversed writing direction), words
without an end, and length.

>>> plain("Acme\x00 #panic() \N{RIGHT-TO-LEFT OVERRIDE}Ltd")
'Acme #panic() Ltd'
>>> plain("a" * 400, most=5)
'aaaaa…'
"""

import re
import unicodedata
from collections.abc import Container
from typing import Final

NAME_MAX: Final = 300
"""Characters of a name; beyond them it ends in an ellipsis."""
TEXT_MAX: Final = 10_000
"""Characters of a text that the issuer adds."""

_WORD_MAX: Final = 24
_STEERING: Final = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\u061c]")
_LONG_WORD: Final = re.compile(rf"[^\s\u00a0\u202f]{{{_WORD_MAX}}}(?=\S)")
_BLANK_LINES: Final = re.compile(r"\n{3,}")
_BREAK: Final = "\N{ZERO WIDTH SPACE}"
_CONTROLS: Final = {"Cc", "Zl", "Zp", "Cs"}
_UNSEEN: Final = {"Cf", "Mn", "Me"}


def plain(text: str | None, *, most: int = NAME_MAX) -> str:
    """One line, at most so long."""
    words = " ".join(_clean((text or "")[: 4 * most], keeps="").split())
    return _wrappable(_shortened(words, most))


def paragraphs(text: str | None) -> str:
    """Several lines, otherwise as `plain`."""
    given = (text or "")[: 2 * TEXT_MAX].replace("\r\n", "\n").replace("\r", "\n")
    lines = (" ".join(line.split()) for line in _clean(given, keeps="\n").split("\n"))
    kept = _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()
    return _wrappable(_shortened(kept, TEXT_MAX))


def unbroken(text: str | None) -> str:
    """One line for machines: nothing of it is hidden or broken."""
    return " ".join(_clean((text or "")[: 2 * TEXT_MAX], keeps="").split())[:TEXT_MAX]


def drawable(text: str, characters: Container[int]) -> str:
    r"""The text with a replacement for each character that no font has.

    >>> drawable("Zoë \uac00", {ord("ë"), ord("Z"), ord("o"), ord(" ")})
    'Zoë �'
    """
    if text.isascii():
        return text
    return "".join(one if one == "\n" or ord(one) in characters else _instead(one) for one in text)


def _instead(character: str) -> str:
    if character == _BREAK:
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    return "" if unicodedata.category(character) in _UNSEEN else "\N{REPLACEMENT CHARACTER}"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rstrip() + "…"


def _wrappable(text: str) -> str:
    """Let words that are longer than any column be broken."""
    return _LONG_WORD.sub(lambda word: word[0] + _BREAK, text)


def _clean(text: str, *, keeps: str) -> str:
    normal = unicodedata.normalize("NFC", _STEERING.sub("", text))
    return "".join(
        one if one in keeps or unicodedata.category(one) not in _CONTROLS else " " for one in normal
    )

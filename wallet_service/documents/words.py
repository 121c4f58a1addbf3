"""The words of each language, from `translations/`. A language that is not there speaks English."""

from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from babel import Locale
from msgspec import Struct

from wallet_service.documents.formats import find_locale

_FOLDER: Final = Path(__file__).with_name("translations")


class Words(Struct, frozen=True):
    """The words of one language."""

    locale: Locale
    texts: dict[str, str]

    def __call__(self, key: str, **values: str) -> str:
        """A text, its places filled; they are filled once, so values may hold braces."""
        text = self.texts[key]
        return text.format_map(values) if values else text

    def known(self, key: str, otherwise: str) -> str:
        """The text of a key that comes from elsewhere."""
        return self.texts.get(key, otherwise)


def languages() -> list[str]:
    """The languages that documents can be written in."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def words_of(locale_name: str) -> Words:
    """The words for a locale: those of its language, else English words and formats."""
    locale = find_locale(locale_name)
    if locale.language not in languages():
        locale = Locale("en")
    return Words(locale, _texts(locale.language))


@cache
def _texts(language: str) -> dict[str, str]:
    return msgspec.json.decode((_FOLDER / f"{language}.json").read_bytes(), type=dict[str, str])

"""How somebody is written to: e-mail addresses, and the language of documents. Pure.

What was stored before it was looked at so closely stays until it is changed.
"""

import re
from typing import Final

__all__ = ["contact_problems", "is_locale", "is_mailable"]

_CODES: Final = """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv
    cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr
    ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw
    ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv
    ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr
    ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi
    yo za zh zu
"""
"""ISO 639-1."""
_LANGUAGES: Final = frozenset(_CODES.split())

_LOCALE: Final = re.compile(
    r"([a-z]{2})(?:[-_][a-z]{4})?(?:[-_](?:[a-z]{2}|[0-9]{3}))?", re.ASCII | re.IGNORECASE
)
_LABEL: Final = r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?"
_ADDRESS: Final = re.compile(rf"[\w.!#$%&'*+/=?^`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")


def is_locale(name: str) -> bool:
    """Whether this names a language, in a script or a region if it says so.

    Documents in a language without a translation are in English.

    >>> [is_locale(name) for name in ("en", "pt-BR", "zh-Hant-TW", "xx", "english", "../x")]
    [True, True, True, False, False, False]
    """
    match = _LOCALE.fullmatch(name)
    return match is not None and match[1].lower() in _LANGUAGES


def is_mailable(emails: str) -> bool:
    """Whether these are e-mail addresses, with commas between them.

    >>> [is_mailable(one) for one in ("a@acme.test", "a@acme.test, b@acme.test", "acme", "a@b,")]
    [True, True, False, False]
    """
    return all(_ADDRESS.fullmatch(one.strip(" ")) for one in emails.split(","))


def contact_problems(
    *,
    email: tuple[str | None, str | None],
    locale: tuple[str | None, str | None],
    locale_field: str = "billing_configuration.document_locale",
) -> dict[str, list[str]]:
    """What is wrong with what was changed, as (before, after); an empty e-mail is none."""
    problems: dict[str, list[str]] = {}
    before, after = email
    if after and after != before and not is_mailable(after):
        problems["email"] = ["invalid_email_format"]
    before, after = locale
    if after is not None and after != before and not is_locale(after):
        problems[locale_field] = ["value_is_invalid"]
    return problems

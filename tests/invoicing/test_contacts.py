"""E-mail addresses and languages: what is none is refused, what was there before stays."""

import pytest

from invoicing.contacts import contact_problems, is_locale, is_mailable
from wallet_service.documents.words import languages

ADDRESSES = [
    "a@acme.test",
    "first.last+tag@sub.acme.co.uk",
    "a@acme.test,b@acme.test",
    "a@x, b@y",
    "ü@müller.de",
]
NONE = [
    *("", " ", "acme", "@acme.test", "a@", "a@@b", "a b@acme.test", "a@acme.test,", "a@acme..test"),
    *("a@-acme.test", "a@acme.test\nBcc: b@c.d", "a@acme.test;b@c.d", "<a@acme.test>"),
]


def test_addresses_may_be_several() -> None:
    assert [emails for emails in ADDRESSES if not is_mailable(emails)] == []
    assert [emails for emails in NONE if is_mailable(emails)] == []


@pytest.mark.parametrize(
    "name", ["", "xx", "english", "fil", "de-", "-de", "de-DEU", "de AT", "d\u0435"]
)
def test_what_is_no_language_is_told(name: str) -> None:
    assert not is_locale(name)


def test_every_language_of_documents_may_be_asked_for_and_those_that_lago_has() -> None:
    for name in (*languages(), "nb", "sv", "pt-BR", "zh-TW", "DE_at", "sr-Latn-RS", "es-419"):
        assert is_locale(name), name


def test_what_was_stored_before_it_was_checked_stays_until_it_is_changed() -> None:
    assert contact_problems(email=("acme", "acme"), locale=("xx", "xx")) == {}
    assert contact_problems(email=("acme", None), locale=("xx", None)) == {}
    assert contact_problems(email=("acme", ""), locale=("xx", "de")) == {}
    assert contact_problems(email=("acme", "other"), locale=("xx", "yy")) == {
        "email": ["invalid_email_format"],
        "billing_configuration.document_locale": ["value_is_invalid"],
    }

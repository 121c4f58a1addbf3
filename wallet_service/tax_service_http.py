"""A tax service that is asked over HTTP.

POST <url>   {"invoice": {…, "lines": [{"id", "type", "item_code", "amount_cents", …}]}}
200          {"lines": [{"id", "taxes": [{"code", "name", "rate"}]}]}
"""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from uuid import UUID

import httpx
import msgspec
from msgspec import Struct

from invoicing.tax_services import UNREACHABLE, TaxQuestion, TaxServiceFailed
from invoicing.tax_shares import TaxTerms
from invoicing.taxes import RATE_MAX, is_rate
from wallet_service.decimal_texts import foreign_decimals

__all__ = ["HttpTaxService"]

_ANSWER_BYTES_MAX: Final = 10_000_000
_OK: Final = 200
_LATER: Final = frozenset({408, 425, 429})
_OF_THE_SERVER: Final = 500
"""What a gateway says of a service behind it that does not answer, say. As if nobody had."""


class _AnsweredTax(Struct, frozen=True):
    code: str
    name: str
    rate: Decimal
    description: str | None = None


class _AnsweredLine(Struct, frozen=True):
    id: UUID
    taxes: list[_AnsweredTax] = []


class _Answer(Struct, frozen=True):
    lines: list[_AnsweredLine]


class HttpTaxService:
    """A tax service that is asked over HTTP."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(timeout=timeout_s, trust_env=False)
        self._encode = msgspec.json.Encoder(decimal_format="string").encode
        self._decode = msgspec.json.Decoder(_Answer).decode
        find_foreign = foreign_decimals(_Answer)
        assert find_foreign is not None, "rates are decimals"
        self._find_foreign = find_foreign

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def taxes(self, question: TaxQuestion, /) -> Mapping[UUID, Sequence[TaxTerms]]:
        """Ask once. Raises TaxServiceFailed: `unreachable`, `refused` or `invalid_answer`.

        An answer 5xx, or "later", is as good as none; 4xx says that it is this invoice.
        """
        try:
            async with asyncio.timeout(self._timeout_s):  # the client's own is one for each read
                answer = await self._answer(self._encode({"invoice": question}))
        except (httpx.HTTPError, TimeoutError) as error:
            raise TaxServiceFailed(UNREACHABLE, type(error).__name__) from error
        try:
            read = self._decode(answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise TaxServiceFailed("invalid_answer", f"{error}") from error
        for path in self._find_foreign(msgspec.json.decode(answer), ()):
            raise TaxServiceFailed("invalid_answer", f"no decimal: {'.'.join(path)}")
        return _checked(question, read)

    async def _answer(self, content: bytes) -> bytes:
        headers = {"content-type": "application/json"}
        request = self._client.stream("POST", self._url, content=content, headers=headers)
        async with request as answer:
            if answer.status_code != _OK:
                is_passing = answer.status_code >= _OF_THE_SERVER or answer.status_code in _LATER
                reason = UNREACHABLE if is_passing else "refused"
                raise TaxServiceFailed(reason, f"HTTP {answer.status_code}")
            read = bytearray()
            async for part in answer.aiter_bytes():
                read += part
                if len(read) > _ANSWER_BYTES_MAX:
                    raise TaxServiceFailed("invalid_answer", "too long")
            return bytes(read)


def _checked(question: TaxQuestion, answer: _Answer) -> dict[UUID, list[TaxTerms]]:
    """The answer for each line; raises TaxServiceFailed where it is not whole, or no tax."""
    named = {line.id: line.taxes for line in answer.lines}
    if any(line.id not in named for line in question.lines):
        raise TaxServiceFailed("invalid_answer", "not every line is answered")
    for taxes in named.values():
        for tax in taxes:
            if not tax.code.strip() or not tax.name.strip() or not is_rate(tax.rate, most=RATE_MAX):
                raise TaxServiceFailed("invalid_answer", "a tax has a code, a name and a rate")
            if any("\x00" in text for text in (tax.code, tax.name, tax.description or "")):
                raise TaxServiceFailed("invalid_answer", "a text has a character that none has")
    return {
        line.id: [
            TaxTerms(code=tax.code, name=tax.name, rate=tax.rate, description=tax.description)
            for tax in named[line.id]
        ]
        for line in question.lines
    }

"""What a key is bound to: the content of a body, however it is spelled."""

import msgspec
import pytest
from msgspec import Struct

from wallet_service.authorization_requests import (
    AuthorizationRequest,
    CaptureRequest,
    ExtendRequest,
    RefundRequest,
)
from wallet_service.errors import Invalid
from wallet_service.grants import GrantRequest
from wallet_service.items import ItemRequest
from wallet_service.operations import body_hash
from wallet_service.usage_requests import EventRequest, ReverseRequest
from wallet_service.wallet_terms import WalletRequest
from wallet_service.wallet_transaction_requests import SettleRequest, WalletTransactionRequest

KEYED = (
    AuthorizationRequest,
    CaptureRequest,
    EventRequest,
    ExtendRequest,
    GrantRequest,
    ItemRequest,
    RefundRequest,
    ReverseRequest,
    SettleRequest,
    WalletRequest,
    WalletTransactionRequest,
)


@pytest.mark.parametrize("request_type", KEYED)
def test_a_field_that_a_later_version_adds_does_not_unbind_the_keys_before(
    request_type: type[Struct],
) -> None:
    assert request_type.__struct_config__.omit_defaults


def test_the_order_and_what_is_said_to_be_nothing_do_not_matter() -> None:
    read = msgspec.json.Decoder(EventRequest).decode
    first = read(b'{"code": "calls", "properties": {"a": 1, "b": 2}, "timestamp": null}')
    second = read(b'{"properties": {"b": 2, "a": 1}, "code": "calls"}')
    assert body_hash(first) == body_hash(second)
    assert body_hash(first) != body_hash(read(b'{"code": "calls", "properties": {"a": 1}}'))


def test_a_number_that_no_store_can_keep_is_refused() -> None:
    with pytest.raises(Invalid):
        body_hash(EventRequest(code="calls", properties={"n": 2**70}))

"""Whether a subscription may use what is to be held: features that it has, limits of one call.

Part of the decision, so that a known key is answered as the first time whatever changed since.
Only what is about to happen is refused; usage that happened is charged.
"""

from collections.abc import Sequence

from invoicing.access import Access
from rating.errors import InvalidQuantity
from wallet_service.errors import EntitlementLimitExceeded, Invalid, NotEntitled

from .commands import Item

__all__ = ["refuse_unentitled"]


def refuse_unentitled(
    items: Sequence[Item], access: Access | None, features: Sequence[str] = ()
) -> None:
    """Let items pass that the subscription may use, with all features that are asked for.

    Raises NotEntitled, EntitlementLimitExceeded; Invalid for a feature that nobody has heard of, or
    a limited property that is no number.
    """
    for position, code in enumerate(features):
        is_entitled = None if access is None else access.features.get(code)
        if is_entitled is None:
            raise Invalid(f"features.{position}", "feature_not_found")
        if not is_entitled:
            raise NotEntitled(feature_code=code)
    if access is None or not access.gates:
        return
    for position, item in enumerate(items):
        _refuse_item(item, access, f"items.{position}.properties")


def _refuse_item(item: Item, access: Access, place: str) -> None:
    try:
        bar = access.bar(item.code, item.properties)
    except InvalidQuantity as error:
        raise Invalid(f"{place}.{error.field}", "value_is_invalid", str(error)) from None
    if bar is None:
        return
    named = {"feature_code": bar.feature_code, "billable_metric_code": item.code}
    if bar.limit is None or bar.given is None:
        raise NotEntitled(**named)
    raise EntitlementLimitExceeded(
        **named,
        privilege_code=bar.limit.privilege_code,
        property=bar.limit.property,
        limit=str(bar.limit.maximum),
        given=f"{bar.given:f}",
    )

"""Price lists of language models, whoever made them: read here, imported by `catalog`."""

from importlib import resources

from wallet_service.price_lists.lists import InvalidPriceList, Price, PriceList, Reason, Skipped
from wallet_service.price_lists.litellm import read_litellm

__all__ = [
    "InvalidPriceList",
    "Price",
    "PriceList",
    "Reason",
    "Skipped",
    "read_litellm",
    "well_known",
]


def well_known() -> PriceList:
    """The list that comes with the service: some thirty well-known models. See NOTICE beside it."""
    return read_litellm(resources.files(__name__).joinpath("well_known.json").read_bytes())

"""What handlers are given: who asks, what time it is, which page, and the services to use."""

from datetime import datetime
from typing import Annotated, Final, TypeAlias

from litestar.di import NamedDependency
from litestar.params import QueryParameter

from invoicing import pages
from wallet_service import services
from wallet_service.api import auth

Now: TypeAlias = NamedDependency[datetime]
Services: TypeAlias = NamedDependency[services.Services]
Tenant: TypeAlias = NamedDependency[auth.Tenant]
Window: TypeAlias = NamedDependency[pages.Window]

EffectiveAt: TypeAlias = Annotated[
    str | None,
    QueryParameter(max_length=64, description="ISO 8601. From when on the change is in force."),
]
"""When a change is to take effect; `read_effective_at` reads it."""

PER_PAGE_DEFAULT: Final = 100
PER_PAGE_MAX: Final = 1000
_PAGE_MAX: Final = 1_000_000


def provide_window(
    page: Annotated[int, QueryParameter(ge=1, le=_PAGE_MAX, description="Which page, from 1.")] = 1,
    per_page: Annotated[
        int, QueryParameter(ge=1, le=PER_PAGE_MAX, description="Items a page.")
    ] = PER_PAGE_DEFAULT,
) -> pages.Window:
    """Dependency: which page is wanted."""
    return pages.Window(number=page, size=per_page)

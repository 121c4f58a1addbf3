"""What handlers are given: who asks, what time it is, which page, and the services to use."""

from datetime import datetime
from typing import TypeAlias

from litestar.di import NamedDependency

from invoicing import pages
from wallet_service import services
from wallet_service.api import auth

Now: TypeAlias = NamedDependency[datetime]
Services: TypeAlias = NamedDependency[services.Services]
Tenant: TypeAlias = NamedDependency[auth.Tenant]
Window: TypeAlias = NamedDependency[pages.Window]

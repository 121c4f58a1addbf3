"""Features on the wire. `billable_metric_codes` and a privilege's `config.property` are ours."""

from typing import Annotated

from msgspec import UNSET, Struct
from msgspec import Meta as Limits

from invoicing.features import Feature, FeatureChanges
from invoicing.privileges import PRIVILEGES_MAX, Privilege, PrivilegeChanges
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import (
    Code,
    Given,
    Name,
    ShortList,
    Word,
    changes,
    iso_seconds,
)

Description = Annotated[str, Limits(max_length=600)]


class PrivilegeConfigInput(Struct):
    """The options of a `select`; `property`: what an `integer` limits of every item."""

    select_options: Given[ShortList[Name]] = UNSET
    property: Given[Name] = UNSET


class PrivilegeInput(Struct):
    """What a caller says of a privilege. A `code` that the feature has means that privilege."""

    code: Given[Code] = UNSET
    name: Given[Name] = UNSET
    value_type: Given[Word] = UNSET
    config: Given[PrivilegeConfigInput] = UNSET

    def changes(self) -> PrivilegeChanges:
        """The same for the domain."""
        config = (
            self.config if isinstance(self.config, PrivilegeConfigInput) else PrivilegeConfigInput()
        )
        return changes(
            self,
            PrivilegeChanges,
            select_options=config.select_options,
            limited_property=config.property,
        )


class FeatureInput(Struct):
    """What a caller says of a feature."""

    code: Given[Code] = UNSET
    name: Given[Name] = UNSET
    description: Given[Description] = UNSET
    privileges: Given[Annotated[list[PrivilegeInput], Limits(max_length=PRIVILEGES_MAX)]] = UNSET
    billable_metric_codes: Given[ShortList[Code]] = UNSET

    def changes(self) -> FeatureChanges:
        """The same for the domain."""
        return changes(self, FeatureChanges)

    def privilege_changes(self) -> list[PrivilegeChanges]:
        """The privileges to change or to add."""
        given = self.privileges if isinstance(self.privileges, list) else ()
        return [privilege.changes() for privilege in given]


class FeatureRequest(Struct):
    """The envelope of a feature to create or change."""

    feature: FeatureInput


class PrivilegeConfigBody(Struct, omit_defaults=True):
    """What is configured of a privilege; nothing of most."""

    select_options: list[str] | None = None
    property: str | None = None

    @classmethod
    def of(cls, privilege: Privilege) -> "PrivilegeConfigBody":
        """Show the configuration of a privilege."""
        config = privilege.config
        return cls(config.select_options, config.limited_property)


class PrivilegeBody(Struct, kw_only=True):
    """A privilege."""

    code: str
    name: str | None
    value_type: str
    config: PrivilegeConfigBody

    @classmethod
    def of(cls, privilege: Privilege) -> "PrivilegeBody":
        """Show a privilege."""
        return cls(
            code=privilege.code,
            name=privilege.name,
            value_type=privilege.value_type,
            config=PrivilegeConfigBody.of(privilege),
        )


class FeatureBody(Struct, kw_only=True):
    """A feature."""

    code: str
    name: str | None
    description: str | None
    privileges: list[PrivilegeBody]
    billable_metric_codes: list[str]
    created_at: str

    @classmethod
    def of(cls, feature: Feature) -> "FeatureBody":
        """Show a feature."""
        return cls(
            code=feature.code,
            name=feature.name,
            description=feature.description,
            privileges=[PrivilegeBody.of(one) for one in feature.privileges],
            billable_metric_codes=feature.billable_metric_codes,
            created_at=iso_seconds(feature.created_at),
        )


class FeatureReply(Struct):
    """The envelope of a feature."""

    feature: FeatureBody


class FeaturesReply(Struct):
    """A page of features."""

    features: list[FeatureBody]
    meta: Meta

"""How structs stand in the OpenAPI document: closed where they refuse what they do not know."""

from typing import Any, Final

from litestar._openapi.schema_generation import SchemaCreator
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.openapi.spec import OpenAPIType, Reference, Schema
from litestar.typing import FieldDefinition

from wallet_service.api.bodies import is_closed

_OF_ALTERNATIVE: Final = ("type", "items", "additional_properties", "format", "one_of")


class StructSchemas(StructSchemaPlugin):
    """Litestar's description of a struct, and whether it is closed: then without nulls too."""

    def to_openapi_schema(
        self, field_definition: FieldDefinition, schema_creator: SchemaCreator
    ) -> Schema:
        """Describe a struct."""
        schema = super().to_openapi_schema(field_definition, schema_creator)
        kind: Any = field_definition.annotation
        if is_closed(kind):
            schema.additional_properties = False
            for field in (schema.properties or {}).values():
                _without_null(field)
        return schema


def _without_null(field: Schema | Reference) -> None:
    """A field that may be left out, but not be null."""
    if isinstance(field, Reference) or not field.one_of:
        return
    others = [one for one in field.one_of if not _is_null(one)]
    if len(others) == 1 and isinstance(others[0], Schema):
        for name in _OF_ALTERNATIVE:
            setattr(field, name, getattr(others[0], name))
    else:
        field.one_of = others


def _is_null(schema: Schema | Reference) -> bool:
    return isinstance(schema, Schema) and schema.type == OpenAPIType.NULL

# ruff: noqa: ARG003 (the signatures are Litestar's)
"""How Litestar's handlers get their `data`: decoded by `bodies`, in the type that they declare."""

from collections.abc import Generator
from typing import Any, ClassVar

from litestar._openapi.schema_generation import SchemaCreator
from litestar.dto import AbstractDTO, DTOFieldDefinition
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from wallet_service.api.bodies import BodyDecoder
from wallet_service.api.errors import encoded

_IDENTITY = (None, "", "identity")


class JsonBodies(AbstractDTO[Any]):
    """Litestar's hook for bodies. One decoder a handler, compiled when the app is made."""

    decoders: ClassVar[dict[str, BodyDecoder[Any]]] = {}

    def decode_bytes(self, value: bytes) -> Any:
        """Decode a body for the handler that this request goes to."""
        connection: Any = self.asgi_connection  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if connection.headers.get("content-encoding") not in _IDENTITY:
            raise encoded()
        return self.decoders[connection.route_handler.handler_id].decode(value)

    @classmethod
    def create_for_field_definition(
        cls,
        field_definition: FieldDefinition,
        handler_id: str,
        backend_cls: Any = None,
    ) -> None:
        """Compile the decoder of a handler. Types of ours say by themselves what they refuse."""
        if field_definition.name == "data":
            cls.decoders[handler_id] = BodyDecoder(field_definition.annotation)

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: SchemaCreator
    ) -> Reference | Schema:
        """Describe the type as it is."""
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(
        cls, model_type: type[Any]
    ) -> Generator[DTOFieldDefinition, None, None]:
        """Nothing is transferred field by field."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Nor nested."""
        return False

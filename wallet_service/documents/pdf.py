"""Documents as PDF, and as pictures to look at: the same bytes for the same document, always.

The template is fixed; what a document says reaches it as JSON. Only the fonts beside this file are
used (and those of the folder that an operator names), never what a machine happens to have.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal

import msgspec
import typst

from wallet_service.documents.document import Document, State
from wallet_service.documents.facturx_marks import mark
from wallet_service.documents.font_coverage import covered_by
from wallet_service.documents.logos import logo_bytes
from wallet_service.documents.page import page_of
from wallet_service.documents.plain_texts import drawable

_HERE: Final = Path(__file__).parent
_FONTS: Final = _HERE / "fonts"
_FAMILIES: Final = ("Inter", "DejaVu Sans", "Droid Sans Fallback")


class Renderer:
    """Makes PDFs. One is not shared by threads at the same moment: it takes its turns by itself."""

    def __init__(self, font_folders: Sequence[Path] = ()) -> None:
        folders = [_FONTS, *font_folders]
        fonts = typst.Fonts(
            include_system_fonts=False,
            include_embedded_fonts=False,
            font_paths=[str(folder) for folder in folders],
        )
        others = sorted(set(fonts.families()) - set(_FAMILIES))
        self._families = msgspec.json.encode([*_FAMILIES, *others]).decode()
        self._characters = frozenset[int]().union(
            *(
                covered_by(path.read_bytes())
                for folder in folders
                for path in sorted(folder.rglob("*.[ot]tf"))
            )
        )
        self._compiler = typst.Compiler(
            str(_HERE / "document.typ"), root=str(_HERE), font_paths=fonts, ignore_system_fonts=True
        )
        self._lock = Lock()

    def pdf(self, document: Document) -> bytes:
        """The document as PDF/A-3."""
        return self._compile(document, "pdf")[0]

    def facturx(self, document: Document, xml: bytes) -> bytes:
        """The document as PDF/A-3 with the invoice as data in it: a Factur-X file."""
        return mark(self._compile(document, "pdf", xml=xml)[0])

    def pictures(self, document: Document, *, pixels_per_inch: float = 96) -> list[bytes]:
        """Each page as a PNG."""
        return self._compile(document, "png", pixels_per_inch=pixels_per_inch)

    def _compile(
        self,
        document: Document,
        form: Literal["pdf", "png"],
        *,
        xml: bytes = b"",
        pixels_per_inch: float | None = None,
    ) -> list[bytes]:
        inputs = self._inputs(document) | {"einvoice": xml.decode()}
        logo = logo_bytes(document.logo)
        # A picture that typst cannot read, or letters that PDF/A does not take, cost the document
        # its logo or its standard, never its existence.
        tries: list[tuple[bytes | None, Literal["a-3b"] | None]] = [
            (logo, "a-3b"),
            (None, "a-3b"),
            (None, None),
        ]
        for picture, standard in tries if logo else tries[1:]:
            shown = msgspec.json.encode(list(picture)).decode() if picture else ""
            try:
                with self._lock:
                    made = self._compiler.compile(
                        format=form,
                        ppi=pixels_per_inch,
                        sys_inputs={**inputs, "logo": shown},
                        pdf_standards=standard if form == "pdf" else None,
                        timestamp=_issued_at(document),
                    )
            except typst.TypstError:
                if standard is None:
                    raise
            else:
                assert made is not None
                return made if isinstance(made, list) else [made]
        raise AssertionError("the last try returns or raises")

    def _inputs(self, document: Document) -> dict[str, str]:
        page: dict[str, Any] = msgspec.to_builtins(page_of(document))
        page["void"] = document.state is State.VOID
        drawn = self._drawable(page)
        return {"page": msgspec.json.encode(drawn).decode(), "fonts": self._families}

    def _drawable(self, value: Any) -> Any:
        if isinstance(value, str):
            return drawable(value, self._characters)
        if isinstance(value, list):
            return [self._drawable(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        if isinstance(value, dict):
            return {key: self._drawable(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        return value


def _issued_at(document: Document) -> datetime:
    """The time that the file says it was made: the day of issue, so that it never changes."""
    return datetime.combine(document.issued_on, time(), tzinfo=UTC)

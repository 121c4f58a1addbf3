"""The mark that makes a PDF with an attached invoice a Factur-X file: a block in its metadata.

typst attaches the XML and writes PDF/A-3; what it cannot write is this block. It is put there by an
incremental update, which leaves every byte before it as it was.

Source: Factur-X 1.07, section 6.2 (XMP extension schema); ISO 19005-3, 6.6.2.3; ISO 32000-1, 7.5.6.
"""

import re
from typing import Final

FILE_NAME: Final = "factur-x.xml"

_NAMESPACE: Final = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
_PROPERTIES: Final = (
    ("DocumentFileName", "name of the embedded XML invoice file", FILE_NAME),
    ("DocumentType", "INVOICE", "INVOICE"),
    ("Version", "The actual version of the Factur-X XML schema", "1.0"),
    ("ConformanceLevel", "The conformance level of the embedded Factur-X data", "EN 16931"),
)


_METADATA: Final = re.compile(
    rb"(\d+) 0 obj\s*<<(?=[^>]*/Type\s*/Metadata)[^>]*/Length (\d+)[^>]*>>\s*stream\r?\n"
)
_TRAILER: Final = re.compile(rb"trailer\s*<<(.*?)>>\s*startxref\s*(\d+)\s*%%EOF\s*$", re.DOTALL)


def mark(pdf: bytes) -> bytes:
    """Say in the metadata of a file that typst made that the attached XML is its invoice."""
    found, trailer = _METADATA.search(pdf), _TRAILER.search(pdf)
    assert found is not None
    assert trailer is not None
    number, length = found[1], int(found[2])
    xmp = _marked(pdf[found.end() : found.end() + length].decode()).encode()
    head = b"\n%s 0 obj\n<</Type/Metadata/Subtype/XML/Length %d>>\nstream\n" % (number, len(xmp))
    object_at = len(pdf) + 1
    body = head + xmp + b"\nendstream\nendobj\n"
    table_at = len(pdf) + len(body)
    table = b"xref\n%s 1\n%010d 00000 n \n" % (number, object_at)
    end = b"trailer\n<<%s/Prev %s>>\nstartxref\n%d\n%%%%EOF\n" % (trailer[1], trailer[2], table_at)
    return pdf + body + table + end


def _marked(xmp: str) -> str:
    """Add the block itself, and the description of it that PDF/A demands."""
    fields = "".join(
        "<rdf:li rdf:parseType='Resource'>"
        f"<pdfaProperty:name>{name}</pdfaProperty:name>"
        "<pdfaProperty:valueType>Text</pdfaProperty:valueType>"
        "<pdfaProperty:category>external</pdfaProperty:category>"
        f"<pdfaProperty:description>{about}</pdfaProperty:description>"
        "</rdf:li>"
        for name, about, _ in _PROPERTIES
    )
    schema = (
        "<rdf:li rdf:parseType='Resource'>"
        "<pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>"
        f"<pdfaSchema:namespaceURI>{_NAMESPACE}</pdfaSchema:namespaceURI>"
        "<pdfaSchema:prefix>fx</pdfaSchema:prefix>"
        f"<pdfaSchema:property><rdf:Seq>{fields}</rdf:Seq></pdfaSchema:property></rdf:li>"
    )
    values = "".join(f"<fx:{name}>{value}</fx:{name}>" for name, _, value in _PROPERTIES)
    block = f"<rdf:Description rdf:about='' xmlns:fx='{_NAMESPACE}'>{values}</rdf:Description>"
    schemas = "<pdfaExtension:schemas><rdf:Bag>"
    assert xmp.count(schemas) == 1
    assert xmp.count("</rdf:RDF>") == 1
    return xmp.replace(schemas, schemas + schema).replace("</rdf:RDF>", block + "</rdf:RDF>")

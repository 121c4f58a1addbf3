"""What an operator can set or call, and what a caller can be told, is documented."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from wallet_service.api.routes import API_ROUTES
from wallet_service.cli import main
from wallet_service.cli.settings import reference
from wallet_service.settings import Settings

ROOT = Path(__file__).parents[2]
FIELDS = msgspec.structs.fields(Settings)
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
RESOURCES = sorted({controller.opt["resource"] for controller in API_ROUTES})

NOT_THE_API = {"cli", "client", "embedded", "jobs", "checks"}
SOURCES = [
    path
    for package in ("ledger", "rating", "invoicing", "wallet_service")
    for path in sorted((ROOT / package).rglob("*.py"))
    if not NOT_THE_API & set(path.relative_to(ROOT).parts)
]
CODE_POSITIONS = {
    "Invalid": 1,
    "field": 1,
    "field_error": 1,
    "NotAllowed": 0,
    "forbidden": 0,
    "unavailable": 0,
    "InvalidAmount": 0,
    "InvalidModel": 1,
    "ExpressionFailed": 1,
    "_failed": 1,  # of rating.expressions
}
ABSTRACT = {"wallet_error", "invoicing_error"}
WORDED_FROM_PARTS = {"already_captured", "already_voided"}


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_setting_says_what_it_means(field):
    metas = [part for part in field.type.__metadata__ if isinstance(part, msgspec.Meta)]
    assert metas[0].description.endswith((".", "days.", "`."))


def test_the_page_of_settings_is_the_one_that_the_command_prints():
    page = (ROOT / "docs/reference/settings.md").read_text()
    assert page == reference(), "run `just docs`"


@pytest.mark.parametrize("name", main.list_commands(None))
def test_every_command_explains_itself(name):
    command = main.get_command(None, name)
    assert command.help
    if name != "test":  # its options are pytest's
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", main.list_commands(None))
def test_every_command_has_a_heading(name):
    assert f"\n## wallet {name}\n" in (ROOT / "docs/reference/cli.md").read_text()


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_resource_has_a_page(resource):
    assert (ROOT / "docs/reference" / f"{resource.replace('_', '-')}.md").is_file()


def test_every_error_code_is_explained_and_every_explained_code_exists():
    page = (ROOT / "docs/reference/errors.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    explained = {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}
    assert set(error_codes()) - explained == set()
    every_text = "\n".join(path.read_text() for path in SOURCES)
    assert {
        code
        for code in explained - set(error_codes())
        if f'"{code}"' not in every_text and code not in WORDED_FROM_PARTS
    } == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), target
        if anchor:
            assert anchor in anchors(other), target


def anchors(page: Path) -> set[str]:
    """Name the headings of a page as code hosts do."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def error_codes() -> Iterator[str]:
    """Find the stable codes where errors are made: in a class, or in an argument's known place."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield from codes_of_call(node)
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "code":
                yield from (code for code in texts(node.value) if code not in ABSTRACT)


def codes_of_call(node: ast.Call) -> Iterator[str]:
    """Find the codes that one call names."""
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    if name == "NotFound" and node.args:
        yield from (f"{thing}_not_found" for thing in texts(node.args[0]))
    if name in CODE_POSITIONS and len(node.args) > CODE_POSITIONS[name]:
        yield from texts(node.args[CODE_POSITIONS[name]])
    if name == "Refusal":
        yield from (code for key in node.keywords if key.arg == "code" for code in texts(key.value))


def texts(node: ast.expr) -> Iterator[str]:
    """Read a literal text, or both ends of a choice."""
    if isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value

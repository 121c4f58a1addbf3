"""The parts of a page, as the template is given them: texts, ready to be placed."""

from msgspec import Struct, field


class Fact(Struct, frozen=True):
    """A short fact and what it is."""

    label: str
    value: str


class Sender(Struct, frozen=True):
    """A party as it stands on the page."""

    label: str
    name: str
    lines: list[str]
    ids: list[Fact]


class Row(Struct, frozen=True, kw_only=True):
    """One row of the table, or one step of the price above it."""

    name: str
    notes: list[str] = field(default_factory=list[str])
    units: str = ""
    unit_amount: str = ""
    tax: str = ""
    amount: str
    steps: list["Row"] = field(default_factory=list["Row"])


class Block(Struct, frozen=True):
    """The rows under one heading; the heading may be empty."""

    title: str
    note: str
    rows: list[Row]


class Sum(Struct, frozen=True, kw_only=True):
    """One row of the sums. `weight`: row, sub or total."""

    label: str
    amount: str
    weight: str = "row"


class Table(Struct, frozen=True):
    """A small table of its own, such as what wallets have paid."""

    title: str
    intro: str
    rows: list[Sum]


class Note(Struct, frozen=True):
    """A text below everything."""

    title: str
    text: str


class Headline(Struct, frozen=True):
    """The one amount that the reader looks for."""

    amount: str
    caption: str


class Page(Struct, frozen=True, kw_only=True):
    """All that the template places."""

    lang: str
    region: str | None
    paper: str
    title: str
    mark: str
    mark_note: str
    number: str
    facts: list[Fact]
    trade_name: str
    seller: Sender
    buyer: Sender
    headline: Headline
    columns: list[str]
    has_units: bool
    has_taxes: bool
    blocks: list[Block]
    sums: list[Sum]
    prepaid: Table | None
    prepaid_fits: bool
    """Whether what wallets have paid is short enough to stand beside the sums."""
    notes: list[Note]
    footer: str
    page_of: str
    running: str

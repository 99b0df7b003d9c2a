"""What a report is made of, whatever it is written as: words, tables, charts, pictures, code.

All texts are as people typed them; who writes a block down escapes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import plotly.graph_objects as go

Tone = Literal["plain", "verdict", "warning", "note"]


@dataclass(frozen=True)
class Words:
    """A paragraph, and how much weight it has."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """Rows of texts.

    Attributes:
        title: what it shows, in a few words.
        columns: headings.
        rows: a text a column; the first names the row.
        numbers: places of the columns that hold numbers.
        marked: places of the rows that stand out.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Chart:
    """A figure.

    Attributes:
        title: above it.
        figure: of Plotly.
        alt: what it shows, for those who do not see it.
        table: its numbers, where there is no room for a figure.
    """

    title: str
    figure: go.Figure
    alt: str
    table: Table | None = None


@dataclass(frozen=True)
class Picture:
    """A validation image.

    Attributes:
        name: of its file, below the folder of the data.
        label: its class.
        lines: what each run says of it.
        source: its thumbnail as a `data:` address; None where it is not shown.
    """

    name: str
    label: str
    lines: tuple[str, ...]
    source: str | None


@dataclass(frozen=True)
class Pictures:
    """Images that have something in common.

    Attributes:
        title: what that is.
        shown: of them.
        total: how many there are.
    """

    title: str
    shown: tuple[Picture, ...]
    total: int


@dataclass(frozen=True)
class Code:
    """Commands or a file.

    Attributes:
        title: what it is.
        text: to be copied.
        language: that it is in.
        folded: shown at a click.
    """

    title: str
    text: str
    language: str = "sh"
    folded: bool = True


Block = Words | Table | Chart | Pictures | Code


@dataclass(frozen=True)
class Section:
    """A part of a report with a heading."""

    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)

    @property
    def anchor(self) -> str:
        """What a link within the report calls it."""
        return "-".join(self.title.lower().split())

"""A report as Markdown: charts as tables of their numbers, pictures by name."""

import re
from collections.abc import Sequence

from dashboard.report.blocks import Block, Chart, Code, Pictures, Section, Table, Words

TONES = {"plain": "{}", "verdict": "**{}**", "warning": "> **Careful:** {}", "note": "{}"}


def markdown_report(title: str, sections: Sequence[Section]) -> str:
    """Returns a report as Markdown with tables as GitHub has them.

    Args:
        title: a person may have typed it.
        sections: in order.
    """
    parts = [f"# {escaped(title)}"]
    for section in sections:
        parts.append(f"## {escaped(section.title)}")
        parts += [text for block in section.blocks if (text := _block(block))]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Returns text so that Markdown shows it letter by letter, in one line."""
    text = " ".join(text.split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_\[\]~$|#])", r"\\\1", text)
    # What begins a list or a rule at the start of a line.
    return re.sub(r"^(\d+(?=[.)](\s|$))|(?=[-+]))", r"\1\\", text)


def _block(block: Block) -> str:
    if isinstance(block, Words):
        return TONES[block.tone].format(escaped(block.text))
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Chart):
        # What has no table is drawn from the same numbers as another chart.
        return _table(block.table) if block.table is not None else ""
    if isinstance(block, Pictures):
        return _pictures(block)
    return _code(block)


def _table(table: Table) -> str:
    rule = ["---:" if place in table.numbers else "---" for place in range(len(table.columns))]
    lines = [_line(table.columns), _line(rule, as_is=True), *(_line(row) for row in table.rows)]
    return f"{escaped(table.title)}:\n\n" + "\n".join(lines)


def _line(cells: Sequence[str], as_is: bool = False) -> str:
    return f"| {' | '.join(cells if as_is else [escaped(cell) or ' ' for cell in cells])} |"


def _pictures(pictures: Pictures) -> str:
    left = pictures.total - len(pictures.shown)
    count = f"{pictures.total:,}" + (f", {left:,} of them left out here" if left else "")
    title = f"{pictures.title}: {count}"
    if not pictures.shown:
        return f"{escaped(title)}."
    rows = tuple((one.name, one.label, *one.lines) for one in pictures.shown)
    answers = [""] * len(pictures.shown[0].lines)
    return _table(Table(title, ("image", "class", *answers), rows))


def _code(code: Code) -> str:
    # Longer than any run of such marks within.
    longest = max((len(found) for found in re.findall(r"`+", code.text)), default=0)
    fence = "`" * max(3, longest + 1)
    block = f"{fence}{code.language}\n{code.text}\n{fence}"
    if not code.folded:
        return f"{escaped(code.title)}:\n\n{block}"
    summary = escaped(code.title)
    return f"<details><summary>{summary}</summary>\n\n{block}\n\n</details>"

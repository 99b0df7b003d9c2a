"""What was set, on what the runs were trained, and how they are trained anew."""

from collections.abc import Sequence
from datetime import UTC, datetime

from dashboard.report.blocks import Block, Code, Section, Table, Words
from dashboard.report.comparison import Comparison
from dashboard.words import label_of
from engine.data.manifest import Manifest
from engine.insight.compare import RunReport, compare_settings
from engine.insight.reproduction import (
    Reproduction,
    comparison_commands,
    reproduction,
    script,
)
from engine.runs.store import Run
from engine.spec import field_info
from engine.versions import versions_sentence

UNKNOWN = "not recorded: trained with an earlier Thaw"


def settings_section(comparison: Comparison) -> Section:
    """Returns the settings that differ."""
    runs = [one.run for one in comparison.reports]
    rows = compare_settings(runs)
    differing = [row for row in rows if row.differs]
    if len(runs) == 1 or not differing:
        told = "There is one run." if len(runs) == 1 else "The runs have the same settings."
        return Section("Settings that differ", (Words(f"{told} All of them are below."),))
    table = Table(
        "Settings",
        ("setting", *(label_of(run) for run in runs)),
        tuple((_label(row.name), *(_cell(comparison, v) for v in row.values)) for row in differing),
    )
    words = Words(
        f"{len(differing)} of {len(rows)} settings differ; all of them are below.", "note"
    )
    return Section("Settings that differ", (words, table))


def _label(name: str) -> str:
    extra = field_info(name).json_schema_extra
    assert isinstance(extra, dict)
    unit = f" ({extra['unit']})" if extra["unit"] else ""
    return f"{extra['label']}{unit}"


def _cell(comparison: Comparison, value: object) -> str:
    return comparison.clean(comparison.reports[0], value)


def setup_section(comparison: Comparison) -> Section:
    """Returns data, device, versions and dates of each run."""
    reports = comparison.reports
    facts = {
        "run": [one.run.id for one in reports],
        "data": [_folder(one.run) for one in reports],
        "fingerprint of the data": [_fact(one, "fingerprint") for one in reports],
        "classes": [_fact(one, "classes") for one in reports],
        "images to train on": [_fact(one, "train_images") for one in reports],
        "images to validate on": [_fact(one, "val_images") for one in reports],
        "images left out": [_fact(one, "left_out") for one in reports],
        "device": [_fact(one, "device") for one in reports],
        "trained with": [str(one.run.summary.get("made_with") or UNKNOWN) for one in reports],
        "asked for": [_date(one.run.created_at) for one in reports],
        "started": [_date(one.run.started_at) for one in reports],
        "ended": [_date(one.run.ended_at) for one in reports],
        "tags": [", ".join(one.run.tags) or "–" for one in reports],
        "note": [one.run.note or "–" for one in reports],
    }
    rows = tuple(
        (name, *(comparison.clean(*told) for told in zip(reports, values, strict=True)))
        for name, values in facts.items()
    )
    table = Table("Runs", ("", *(label_of(one.run) for one in reports)), rows)
    return Section("Data, device, versions", (table, *_notes(comparison), _written(comparison)))


def _notes(comparison: Comparison) -> list[Block]:
    """Returns how the data was read and split, each sentence once."""
    found: dict[str, None] = {}
    for one in comparison.reports:
        manifest = comparison.manifest(one)
        notes = manifest.notes if isinstance(manifest, Manifest) else (manifest,)
        found |= dict.fromkeys(comparison.clean(one, note) for note in notes)
    return [Words(note, "note") for note in found]


def _written(comparison: Comparison) -> Words:
    return Words(f"Report written {_date(comparison.made_at)} with {versions_sentence()}.", "note")


def _folder(run: Run) -> str:
    return run.spec.data.folder.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _fact(one: RunReport, name: str) -> str:
    value = one.run.summary.get(name)
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _date(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _anywhere(anew: Sequence[Reproduction]) -> str:
    return "\n".join(one.anywhere for one in anew)


def reproduce_section(comparison: Comparison) -> Section:
    """Returns the commands that train the runs anew and compare them, and every whole spec."""
    anew = [reproduction(one) for one in comparison.reports]
    here = [*(one.here for one in anew), *comparison_commands(comparison.reports)]
    prints = {one.run.summary.get("fingerprint") for one in comparison.reports} - {None}
    words = (
        "The same spec and seed give the same numbers on the same machine, and close ones "
        "elsewhere. The images must lie where the specs say (data.folder); the new report must "
        f"show the same fingerprint of the data ({', '.join(sorted(map(str, prints))) or '–'})."
    )
    blocks: list[Block] = [
        Words(words),
        Code("Where these runs are in the store", "\n".join(here), folded=False),
        Code("Anywhere else, with the specs below as files", _anywhere(anew), folded=False),
        Code("Anywhere else: one script with all specs in it", script(anew)),
    ]
    for one, made in zip(comparison.reports, anew, strict=True):
        title = f"Spec of {label_of(one.run)}: {made.file}"
        blocks.append(Code(title, made.spec_json, "json"))
    return Section("How to reproduce it", blocks)

"""CSV and Parquet files that were damaged, or that hold what no table of pictures does."""

import io
import random
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from tests.engine.hostile.damage import DAMAGES, HTML
from tests.engine.hostile.names import PARTS

COLUMNS = ("path", "Path ", "file", "image", "label", "CLASS", "split", "set", "other", "", "a\nb")
PATHS = ("cats/0.png", "cats/1.png", "dogs/0.png", "./dogs/1.png", "../x.png", "/etc/passwd", "")
LABELS = ("cats", "dogs", "cats ", "", "1", "1.0", "nan", "<script>", "train")
SPLITS = ("train", "val", "test", "Train", "", "later", "validation")
VALUES: tuple[Any, ...] = (
    *(None, 0, -1, 3.0, 3.5, float("nan"), float("inf"), True, 2**62, b"\xff\xfe"),
    *(["cats/0.png"], {"bytes": b"x", "path": "cats/0.png"}, pd.Timestamp(0), pd.NA),
)
ENDS = ("", "", "", 'a,"b', "a,b,c,d\n", ",,,,,\n", "\r\r\n", "x" * 9000)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252")


@dataclass(frozen=True)
class Table:
    """A file that is sent as a table; see Archive."""

    suffix: str
    content: bytes = field(repr=False)
    made: str


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draws a table of the pictures cats/0.png, cats/1.png, dogs/0.png and dogs/1.png."""
    suffix = draw(st.sampled_from(["csv", "csv", "tsv", "parquet"]))
    if draw(st.booleans()):
        frame, made = _ordinary(), ["ordinary"]
    else:
        frame, made = draw(_frames(suffix)), ["made up"]
    content = _parquet(frame) if suffix == "parquet" else draw(_texts(frame, suffix))
    dice = random.Random(draw(st.integers(0, 2**32 - 1)))
    for one in draw(st.lists(st.sampled_from(sorted(DAMAGES)), max_size=2)):
        content = DAMAGES[one](dice, content, [HTML, _parquet(_ordinary()), b'"\n', b"\0" * 50])
        made.append(one)
    return Table(draw(st.sampled_from([suffix, suffix, "csv"])), content, ", ".join(made))


def _ordinary() -> pd.DataFrame:
    paths = ["cats/0.png", "cats/1.png", "dogs/0.png", "dogs/1.png"]
    return pd.DataFrame({"path": paths, "label": [one[:4] for one in paths]})


@st.composite
def _frames(draw: st.DrawFn, suffix: str) -> pd.DataFrame:
    names = draw(st.lists(st.sampled_from(COLUMNS), max_size=3))
    names = [*(["path", "label"] if draw(st.integers(0, 3)) else []), *names]
    count = draw(st.integers(0, 8))
    columns = []
    for name in names:
        usual = {"path": PATHS, "label": LABELS, "split": SPLITS}.get(name, (*LABELS, *PARTS))
        usual = tuple(one for one in usual if suffix != "parquet" or one.isprintable())
        known = draw(st.lists(st.sampled_from(usual), min_size=count, max_size=count))
        odd = draw(st.sampled_from(VALUES))
        how = draw(st.integers(0, 9))
        if how == 0:
            known = [odd] * count
        elif how == 1 and count and suffix != "parquet":
            known[0] = odd
        series = pd.Series(known, dtype="category" if how == 2 else "str" if how > 2 else None)
        columns.append(series.rename(name))
    if not columns:
        return pd.DataFrame(index=range(count))
    return pd.concat(columns, axis=1)


def _parquet(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    if frame.columns.is_unique:
        frame.to_parquet(file)
        return file.getvalue()
    # Pandas writes no two columns of one name; others do.
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [pa.array(frame.iloc[:, place]) for place in range(frame.shape[1])]
    pq.write_table(pa.Table.from_arrays(arrays, names=list(map(str, frame.columns))), file)
    return file.getvalue()


@st.composite
def _texts(draw: st.DrawFn, frame: pd.DataFrame, suffix: str) -> bytes:
    separator = "\t" if suffix == "tsv" else draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    text = frame.to_csv(index=draw(st.integers(0, 5)) == 0, sep=separator)
    text += draw(
        st.sampled_from(["", "", "", 'a,"b', "a,b,c,d\n", ",,,,,\n", "\r\r\n", "x" * 9000])
    )
    if draw(st.integers(0, 5)) == 0:
        text = text.replace("\n", f"{separator}\n")
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8", *ENCODINGS])), "replace")

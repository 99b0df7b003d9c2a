"""Colours: cold for runs whose backbone is frozen, warm for those in which it moves."""

COLD = (
    "#2b7de9",
    "#0fa3a3",
    "#7263e0",
    "#369bce",
    "#1f9d6b",
    "#9585f5",
    "#5470a8",
    "#42a097",
)
WARM = (
    "#e8590c",
    "#d6336c",
    "#c58400",
    "#d6322f",
    "#e36988",
    "#b8712e",
    "#da7843",
    "#b04a8a",
)

LIGHT = {"text": "#1c2430", "background": "#ffffff", "panel": "#f3f6fa", "line": "#d8dfe8"}
DARK = {"text": "#e8edf4", "background": "#10151d", "panel": "#19212c", "line": "#334050"}
SPLIT_COLOURS = ("#1791a6", "#c58400")

# Told apart by those who see no red, no green or no blue, too: to each of them any two of the ten
# differ more than the nearest two of Okabe & Ito's (2008) seven.
CLASS_COLOURS = (
    "#648fff",
    "#b15928",
    "#b3e06b",
    "#8e2bd0",
    "#66ccee",
    "#e0479e",
    "#00876c",
    "#ff9da7",
    "#999933",
    "#35586c",
)
OTHER_CLASSES = "#9aa1a9"

PRIMARY = "#0b7285"
PRIMARY_DARK = "#1791a6"


def run_colour(temperature: str, place: int) -> str:
    """Returns the colour of a run, the same wherever it is shown.

    Args:
        temperature: `cold` or `warm`, as its strategy says.
        place: how many runs of that temperature came before it.
    """
    colours = COLD if temperature == "cold" else WARM
    return colours[place % len(colours)]

"""Every command: in which file it is, and what it does.

They are listed here so that `thaw --help`, and each command, start without importing the others.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """Where a command is.

    Attributes:
        module: of `engine.cli`.
        summary: first sentence of its help.
    """

    module: str
    summary: str


COMMANDS = {
    "serve": Command("serve", "Open the dashboard in the browser."),
    "train": Command(
        "train", "Train one run and follow it to its end; Ctrl-C stops it and keeps the best epoch."
    ),
    "models": Command(
        "models", "Find a backbone; one that is named in full is shown with its stages."
    ),
    "recipes": Command("models", "List whole sets of settings to start from."),
    "settings": Command("settings", "List every setting of a run: name, default, range, meaning."),
    "survey": Command(
        "survey",
        "Train every strategy on the same images, over several seeds, as one Markdown table.",
    ),
    "experiment": Command(
        "experiment",
        "Train several strategies with several seeds on one split, and say which differences are "
        "real.",
    ),
    "frontier": Command(
        "frontier",
        "Train the same model with its last 0, 1, 2, ... and all of its stages learning.",
    ),
    "search": Command(
        "search",
        "Search settings: each trial is a run; Ctrl-C stops the search and keeps what it found.",
    ),
    "searches": Command("search", "List all searches, newest first, or show one with its trials."),
    "find-lr": Command(
        "lr_finder",
        "Suggest learning rates for the head and for the backbone, from a range test of each.",
    ),
    "runs": Command("runs", "List all runs, newest first."),
    "show": Command("runs", "Show one run: its settings, its epochs, how it ended."),
    "compare": Command(
        "runs", "Put runs side by side: results first, then the settings that differ."
    ),
    "shift": Command(
        "shift",
        "Judge runs on corrupted validation images, or on another folder, and say if the order "
        "holds.",
    ),
    "drift": Command(
        "drift",
        "Say whether new images are like those that a run was trained on, class by class.",
    ),
    "embed": Command(
        "embed",
        "Lay a run's validation images out on a plane, as its backbone sees them before and after.",
    ),
    "layers": Command(
        "layers",
        "Show how far each stage of a run moved from its first weights, and how much else it sees.",
    ),
    "explain": Command(
        "explain",
        "Show which parts of a picture speak for a class, as a run's best checkpoint sees it.",
    ),
    "report": Command(
        "reporting",
        "Write a comparison of runs to one HTML or Markdown file that works anywhere, offline too.",
    ),
    "lineage": Command(
        "lineage",
        "Show where a model comes from, what became of it, and its accuracy on every batch so far.",
    ),
    "adopt": Command(
        "adopt",
        "Take an update into use where a rule holds beyond noise; `--undo` takes the one before.",
    ),
    "adopted": Command("adopt", "List the models in use, and what was adopted and undone so far."),
    "stop": Command("runs", "Stop a run after its present step; its best epoch is kept."),
    "pause": Command(
        "runs",
        "Pause a run after its present step and free the machine; `thaw resume` goes on there.",
    ),
    "resume": Command(
        "runs",
        "Take a run up again that was paused, stopped, interrupted or failed, and follow it.",
    ),
    "retry": Command(
        "runs",
        "Train a new run with the settings of another, from the beginning, and follow it to its "
        "end.",
    ),
    "mark": Command(
        "marks", "Name a run, note something about it, give it tags, mark it, or put it away."
    ),
    "delete": Command("marks", "Throw runs away; for seven days `thaw restore` brings them back."),
    "restore": Command("marks", "Bring runs back that were thrown away."),
    "next": Command("marks", "Let a waiting run start before all others that wait."),
    "export": Command(
        "transfer", "Write a run to one file, with its checkpoint, to be opened on another machine."
    ),
    "import": Command(
        "transfer", "Bring in runs from files that `thaw export` wrote, each whole or not at all."
    ),
    "steer": Command(
        "steering", "Change a run that goes on, from its next step: what learns, and how fast."
    ),
    "replay": Command(
        "steering",
        "Do a run again, with all that was steered at the same steps, and follow it to its end.",
    ),
    "update": Command("update", "Update a model in use with new images, and see what it forgot."),
    "soup": Command(
        "blends",
        "Average the best weights of runs that grew from the same start, and judge the average.",
    ),
    "interpolate": Command(
        "blends",
        "Keep a blend of a wise_ft run's weights before and after fine-tuning, and judge it.",
    ),
    "cache": Command(
        "cache",
        "List decoded pictures and features that are kept on disk; bound them, or throw them away.",
    ),
    "add": Command(
        "add",
        "Unpack an archive of images to where Thaw keeps data sets: all of it, or nothing.",
    ),
    "fetch": Command(
        "fetch",
        "Take in a known data set by its name, or one of the Hugging Face Hub; without one, list "
        "them.",
    ),
    "inspect": Command(
        "inspecting",
        "Look at a folder of images: classes, sizes, and what would spoil a result.",
    ),
    "correct": Command(
        "correct",
        "Correct a data set: leave pictures out, move them, or give them another class.",
    ),
    "sample-data": Command(
        "samples", "Write the sample data sets (clipart and digits) to a folder."
    ),
    "log": Command(
        "log",
        "Show what happened in a run, or without one in Thaw as a whole; the newest comes last.",
    ),
    "doctor": Command(
        "doctor", "Say what is wrong with this installation of Thaw, and how to mend it."
    ),
}

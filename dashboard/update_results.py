"""What updates of a model kept, gained and forgot: for the Update page and for Compare."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.blend_sections import interpolation_section
from dashboard.runs import label_of, plain, store
from dashboard.show import show_chart
from dashboard.update_charts import Epochs, Standing, epochs_figure, old_new_figure
from dashboard.update_colours import way_colours
from dashboard.update_gallery import changed_section, choose_update, confused_section
from dashboard.update_table import update_table
from dashboard.words import names_of
from engine.errors import DataError, RunNotFoundError
from engine.insight.update_methods import MethodResult, method_results
from engine.insight.update_ways import by_model, estimated, judged_alike, short_names
from engine.insight.updates import Update, is_update, update_of
from engine.runs.store import Run
from engine.update.judging import NEW, OLD

NO_UPDATE = (
    "None of these runs updates a model. Update a finished run with new images, and see here what "
    "it gained and what it forgot."
)


def update_results(runs: Sequence[Run], page: str = "update") -> None:
    """Shows what updates came to: table, charts, confusions, images that broke, blends.

    Args:
        runs: any; those that update no model are left out. Where they update several models, one
            of these is chosen.
        page: prefix of the state keys.
    """
    updating = [run for run in runs if is_update(run)]
    if not updating:
        st.info(NO_UPDATE, icon=":material/update:")
        return
    if num_others := len(runs) - len(updating):
        st.caption(
            f"{num_others} of the {len(runs)} runs "
            f"{'updates' if num_others == 1 else 'update'} no model and "
            f"{'is' if num_others == 1 else 'are'} left out here."
        )
    chosen = _of_one_model(page, updating)
    found = _judged(chosen)
    if not found:
        st.info(
            "Nothing has been judged yet; the Live page shows how far these updates are.",
            icon=":material/hourglass_top:",
        )
        return
    if not judged_alike(found):
        st.warning(
            "These updates were judged on different images, so their accuracies cannot be held "
            "against each other; choose updates of one model with one folder of new images.",
            icon=":material/balance:",
        )
    ways = method_results(found)
    update_table(page, ways)
    _old_against_new(page, ways)
    _epoch_by_epoch(page, ways)
    update = choose_update(page, found)
    confused_section(page, update)
    changed_section(page, update)
    interpolation_section(f"{page}.updates", [one.run for one in found])


def _of_one_model(page: str, runs: Sequence[Run]) -> list[Run]:
    """Returns the updates of one model, which a person chooses where there are several."""
    starts = dict.fromkeys(run.spec.update.start for run in runs)
    known = {start: run for start in starts if (run := _run_of(start)) is not None}
    groups = by_model(runs, known)
    names = [_model_name(group, known) for group in groups]
    place = 0
    if len(groups) > 1:
        place = st.selectbox(
            "Updates of",
            range(len(groups)),
            format_func=lambda at: names[at],
            key=f"{page}.updates.start",
            help="These runs update several models; only updates of one can be held against each "
            "other.",
        )
    st.caption(f"Updates of **{plain(names[place])}**.")
    return groups[place]


def _run_of(start: str) -> Run | None:
    try:
        return store().run(start)
    except RunNotFoundError:
        return None


def _model_name(group: Sequence[Run], known: Mapping[str, Run]) -> str:
    """Returns what a person reads of the model that is updated: its run's name, or a file."""
    starts = list(dict.fromkeys(run.spec.update.start for run in group))
    name = label_of(known[starts[0]]) if starts[0] in known else starts[0]
    return f"{name} and {len(starts) - 1} more of its seeds" if len(starts) > 1 else name


def _judged(runs: Sequence[Run]) -> list[Update]:
    """Returns what is known of updates, and says of the others why nothing is."""
    found: list[Update] = []
    for run in runs:
        try:
            one = update_of(run)
        except DataError as error:
            st.warning(plain(str(error)), icon=":material/image_not_supported:")
            continue
        if one is not None:
            found.append(one)
        name = f"**{plain(label_of(run))}**"
        reason = f": {plain(run.reason)}" if run.reason else "."
        if run.is_active:
            told = "; what is shown of it is what it came to so far." if one else " and not judged."
            st.caption(f"{name} is {run.status}{told}")
        elif run.status != "finished":
            told = "" if one else " before it was judged"
            st.caption(f"{name} {_ended(run.status)}{told}{reason}")
        elif one is None:
            st.caption(f"{name} has finished, but kept no predictions; update the model anew.")
    return found


def _ended(status: str) -> str:
    return status if status == "failed" else f"was {status}"


def _old_against_new(page: str, ways: Sequence[MethodResult]) -> None:
    first = ways[0]
    if first.before_old is None or first.before_new is None:
        return
    st.subheader("Old against new", anchor=False)
    st.caption(
        "Further up, less is forgotten; further right, more is learnt of the new images. On the "
        "dashed line old images are told as well as before. Thin bars: 95 % intervals."
        + (
            " Large points are means, small ones single runs."
            if any(len(way.updates) > 1 for way in ways)
            else ""
        )
    )
    named = zip(ways, short_names(ways), way_colours(ways), strict=True)
    standings = [one for told in named if (one := _standing(*told)) is not None]
    runs = [one.run for way in ways for one in way.updates]
    show_chart(
        old_new_figure(standings, (first.before_new.mean, first.before_old.mean)),
        key=f"{page}.updates.standing",
        name=f"old against new accuracy {names_of(runs)}",
        alt="Accuracy on old images against accuracy on new ones, a point a method",
    )


def _standing(way: MethodResult, name: str, colour: str) -> Standing | None:
    old, new = estimated(way, is_new=False), estimated(way, is_new=True)
    if old is None or new is None:
        return None
    runs = [(one.after.new.accuracy or 0.0, one.after.old.accuracy or 0.0) for one in way.updates]
    return Standing(name, way.label, colour, tuple(runs), new, old)


def _epoch_by_epoch(page: str, ways: Sequence[MethodResult]) -> None:
    st.subheader("Epoch by epoch", anchor=False)
    st.caption(
        "Epoch 0 is the model before the update; on old images the dashed line is its level. A "
        "diamond is the blend that wise_ft kept."
    )
    first = ways[0]
    parts = ((OLD, "old images", first.before_old), (NEW, "new images", first.before_new))
    for (metric, what, level), column in zip(parts, st.columns(2), strict=True):
        lines = [
            line
            for way, name, colour in zip(ways, short_names(ways), way_colours(ways), strict=True)
            for one in way.updates
            if (line := _line(name, colour, one, metric)) is not None
        ]
        with column:
            st.markdown(f"**{what.capitalize()}**")
            if not lines:
                st.caption(f"None of the validation images are {what}.")
                continue
            # The level of new images before is where their lines begin, and nothing to keep.
            dashed = level.mean if level and metric == OLD else None
            show_chart(
                epochs_figure(lines, dashed, f"share of {what} right"),
                key=f"{page}.updates.epochs.{metric}",
                name=f"accuracy on {what} {names_of([one.run for w in ways for one in w.updates])}",
            )


def _line(name: str, colour: str, one: Update, metric: str) -> Epochs | None:
    events = [event for event in store().epochs(one.run.id) if metric in event.values]
    if not events:
        return None
    points = [(event.epoch, float(event.values[metric] or 0.0)) for event in events]
    share = one.before.old if metric == OLD else one.before.new
    if (before := share.accuracy) is not None:
        points.insert(0, (0, before))
    blend = one.run.summary.get("blend") or {}
    return Epochs(name, colour, tuple(points), blend.get(metric))

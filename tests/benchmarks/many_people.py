"""Twenty people on one server with five runs, one of them a real training: memory, time, losses."""

import argparse
import asyncio
import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import psutil
from playwright.async_api import Page, async_playwright

from engine.events import MetricEvent
from engine.runs.queue import enqueue
from engine.runs.store import Run, Store
from engine.spec import RunSpec
from tests.benchmarks.pretended_steps import STEPS, keep_telling, tell_past
from tests.benchmarks.served import fresh_dashboard
from tests.benchmarks.watched_training import steps_per_second
from tests.conftest import CLIPART
from tests.listening import Listener, Session
from tests.pretend import pretend_run
from tests.serving import CHROMIUM_FLAGS, Dashboard, chromium_path

MIB = 2**20
NUM_PRETENDED = 4
# How long everyone stays, and stays away, in turns; the first seconds of either do not count, in
# which pages that were just opened are busy with themselves.
TURN_SECONDS = 45.0
SETTLE_SECONDS = 20.0
SAMPLE_SECONDS = 5.0
# Streamlit keeps sessions for two minutes after they went: after so many visits as many come as go.
VISITS_UNTIL_EVEN = 3


@dataclass
class Person:
    """One session: a tab on Streamlit's WebSocket, and its event stream.

    Attributes:
        number: which session it is.
        asked: the runs that it looks at.
        mixed: how often it was shown anything else.
    """

    number: int
    asked: list[str]
    mixed: int = 0
    num_events: int = 0
    num_lost: int = 0
    num_doubled: int = 0
    num_breaks: int = 0
    delays: list[float] = field(default_factory=list)

    async def visit(self, dashboard: Dashboard, until: float) -> None:
        """Opens the Live page, stays, and goes; does what a page does, but draws nothing."""
        tab = Session(dashboard, "live", "&".join(f"run={run}" for run in self.asked))
        await tab.open()
        listener = Listener(dashboard, (tab.live or {}).get("runs", []))
        listening = asyncio.create_task(listener.listen())
        # Once a visit everyone chooses something, upon which the script runs; not all at once.
        await asyncio.sleep((0.1 + 0.8 * self.number / 20) * max(0.0, until - time.time()))
        await tab.rerun()
        self.mixed += (tab.live or {}).get("runs") != self.asked
        await asyncio.sleep(max(0.0, until - time.time()))
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await tab.close()
        self._take(listener)

    def _take(self, listener: Listener) -> None:
        self.mixed += not set(listener.cards) == set(listener.seqs) == set(self.asked)
        self.num_events += listener.num_events
        self.num_lost += listener.num_lost
        self.num_doubled += listener.num_doubled
        self.num_breaks += listener.breaks
        self.delays += listener.delays


@dataclass
class Sample:
    """What the server's process takes at a moment, and what all take in CPU seconds so far."""

    at: float
    mib: float
    threads: int
    server: float
    training: float
    clients: float


def main(arguments: Sequence[str] = ()) -> None:
    """Prints the server's memory and threads, delays and losses, and what watching costs."""
    parser = argparse.ArgumentParser(prog="many_people", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument(
        "--pages", type=int, default=2, help="sessions that are real Chromium pages"
    )
    parser.add_argument(
        "--past", type=int, default=0, help="steps that each pretended run has told before"
    )
    asked = parser.parse_args(arguments)
    with fresh_dashboard() as dashboard:
        asyncio.run(_watch(dashboard, asked.minutes, asked.sessions, asked.pages, asked.past))


async def _watch(
    dashboard: Dashboard, minutes: float, sessions: int, num_pages: int, past: int
) -> None:
    store = Store()
    trained = _start_training(store, minutes)
    # Before the others, which take the places for running at once.
    await _until_it_trains(store, trained)
    pretended = [
        pretend_run(store, f"Pretended {number}", epochs=200, steps=STEPS)
        for number in range(NUM_PRETENDED)
    ]
    ids = [trained.id, *(run.id for run in pretended)]
    # One, two or three runs each; all of them are looked at by somebody.
    people = [
        Person(number, [ids[(number + more) % len(ids)] for more in range(1 + number % 3)])
        for number in range(sessions - num_pages)
    ]
    for run in pretended:
        tell_past(store, run, past)
    pretending = [asyncio.create_task(keep_telling(store, run, past)) for run in pretended]
    samples: list[Sample] = []
    sampling = asyncio.create_task(_sample(dashboard, store.run(trained.id).pid, samples))
    turns, wrong = await _take_turns(dashboard, minutes, people, num_pages, ids)
    for task in (sampling, *pretending):
        task.cancel()
    await asyncio.gather(sampling, *pretending, return_exceptions=True)
    store.request_stop(trained.id)
    steps = [event for event in store.events(trained.id) if event.kind == "step"]
    _report(people, num_pages, wrong, samples, turns, steps)
    while store.run(trained.id).is_active:
        await asyncio.sleep(0.2)


def _start_training(store: Store, minutes: float) -> Run:
    spec = RunSpec.parse(
        {
            "data": {"folder": str(CLIPART)},
            "strategy": {"name": "full"},
            "images": {"size": 64},
            # More than there is time for in 45 minutes.
            "training": {"epochs": min(1000, round(100 + 40 * minutes)), "batch_size": 8},
        }
    )
    [run] = enqueue(store, [("Trained", spec)])
    return run


async def _until_it_trains(store: Store, run: Run) -> None:
    while not store.events_of_kind(run.id, "step"):
        assert store.run(run.id).is_active, store.run(run.id).reason
        await asyncio.sleep(0.5)


async def _sample(dashboard: Dashboard, worker: int | None, samples: list[Sample]) -> None:
    server, training, own = (psutil.Process(pid) for pid in (dashboard.pid, worker, None))
    while True:
        samples.append(
            Sample(
                time.time(),
                server.memory_info().rss / MIB,
                server.num_threads(),
                _spent([server]),
                _spent([training]),
                _spent([own, *_browser(own)]),
            )
        )
        await asyncio.sleep(SAMPLE_SECONDS)


def _browser(own: psutil.Process) -> list[psutil.Process]:
    found = []
    for child in own.children(recursive=True):
        # Tabs come and go meanwhile.
        with suppress(psutil.Error):
            if any("playwright" in word or "chromium" in word for word in child.cmdline()[:2]):
                found.append(child)
    return found


def _spent(processes: Sequence[psutil.Process]) -> float:
    """Returns CPU seconds of processes, those of one that is gone left out."""
    spent = 0.0
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            spent += times.user + times.system
    return spent


Turn = tuple[bool, float, float]


async def _take_turns(
    dashboard: Dashboard, minutes: float, people: list[Person], num_pages: int, ids: list[str]
) -> tuple[list[Turn], list[str]]:
    """Lets all come and go in turns; returns the turns, and what real pages showed wrongly."""
    turns: list[Turn] = []
    wrong: list[str] = []
    ends = time.time() + 60 * minutes
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=CHROMIUM_FLAGS, headless=True
        )
        for turn in itertools.count():
            watched = bool(turn % 2)
            until = time.time() + TURN_SECONDS
            turns.append((watched, time.time() + SETTLE_SECONDS, until))
            if watched:
                pages = [await (await browser.new_context()).new_page() for _ in range(num_pages)]
                visits = [
                    _look(dashboard, page, ids[number % len(ids)], until)
                    for number, page in enumerate(pages)
                ]
                wrong += [
                    text
                    for text in await asyncio.gather(
                        *visits, *(one.visit(dashboard, until) for one in people)
                    )
                    if text
                ]
            else:
                await asyncio.sleep(TURN_SECONDS)
            # It ends as it began: with nobody there.
            if time.time() >= ends and not watched:
                break
        await browser.close()
    return turns, wrong


async def _look(dashboard: Dashboard, page: Page, run: str, until: float) -> str:
    """Opens a real page on a run and stays; returns what was wrong with it, or nothing."""
    await page.goto(f"{dashboard.url}/live?run={run}")
    await page.wait_for_selector(f'[data-run="{run}"]', timeout=60_000)
    await asyncio.sleep(max(0.0, until - time.time()))
    shown = await page.locator(".thaw-card").evaluate_all(
        "(cards) => cards.map((card) => card.dataset.run)"
    )
    seqs = await page.evaluate(
        "document.querySelector('.thaw-live').thawDrawn.map((event) => event.seq)"
    )
    await page.context.close()
    if shown != [run]:
        return f"a page of {run} showed {shown}"
    if any(after != before + 1 for before, after in itertools.pairwise(seqs)):
        return f"a page of {run} drew events out of order or not at all"
    return ""


def _report(
    people: list[Person],
    num_pages: int,
    wrong: list[str],
    samples: list[Sample],
    turns: list[Turn],
    steps: list[MetricEvent],
) -> None:
    minutes = (samples[-1].at - samples[0].at) / 60
    visits = sum(watched for watched, _, _ in turns)
    print(f"  {minutes:.1f} minutes, in which everyone came and went {visits} times:")
    print(
        f"  {len(people)} plain clients (Streamlit's WebSocket and the event stream, used as a "
        f"page does, with nothing drawn) and {num_pages} Chromium pages, all on this machine"
    )
    _report_memory(samples, turns)
    _report_shares(samples, turns)
    delays = [1000 * delay for one in people for delay in one.delays]
    median, p95, worst = np.percentile(delays, [50, 95, 100])
    print(
        f"  event to client: median {median:.0f} ms, 95th percentile {p95:.0f} ms, worst "
        f"{worst:.0f} ms, of {len(delays)} steps that came while somebody looked"
    )
    counts = {
        "events": sum(one.num_events for one in people),
        "lost": sum(one.num_lost for one in people),
        "doubled": sum(one.num_doubled for one in people),
        "streams broken": sum(one.num_breaks for one in people),
        "mixed up": sum(one.mixed for one in people) + len(wrong),
    }
    print("  " + ", ".join(f"{name}: {number}" for name, number in counts.items()))
    for text in wrong:
        print(f"    {text}", file=sys.stderr)
    _report_speed(turns, steps)


def _report_memory(samples: list[Sample], turns: list[Turn]) -> None:
    """Prints what the server takes; the slope is of the times when everyone is there."""
    threads = [one.threads for one in samples]
    print(f"  server's threads: {min(threads)} to {max(threads)}, at the end {threads[-1]}")
    first, middle, last = samples[0], samples[len(samples) // 2], samples[-1]
    print(
        f"  server's memory: {first.mib:.0f} MiB at the start, {middle.mib:.0f} in the middle, "
        f"{last.mib:.0f} at the end, {max(one.mib for one in samples):.0f} at most"
    )
    visits = [(start, end) for watched, start, end in turns if watched]
    means = [
        statistics.mean(one.mib for one in samples if start <= one.at <= end)
        for start, end in visits
    ]
    print("  mean of each visit in MiB: " + ", ".join(f"{mean:.0f}" for mean in means))
    even = visits[VISITS_UNTIL_EVEN:]
    watched = [one for one in samples if any(start <= one.at <= end for start, end in even)]
    if len(even) < 2:
        print(f"  too short to tell how memory goes on: that takes {VISITS_UNTIL_EVEN + 2} visits")
        return
    hours = [(one.at - watched[0].at) / 3600 for one in watched]
    slope, _ = np.polyfit(hours, [one.mib for one in watched], 1)
    print(f"  slope after {VISITS_UNTIL_EVEN} visits: {slope:+.1f} MiB an hour")


def _report_shares(samples: list[Sample], turns: list[Turn]) -> None:
    """Prints who takes how much of the processor, and what the server can cost training at most.

    That is for people who look from machines of their own; here they take from the same cores.
    """
    shares = {
        (who, watched): _cpu_share(samples, turns, who, watched)
        for who in ("training", "server", "clients")
        for watched in (False, True)
    }
    for who in ("training", "server", "clients"):
        print(
            f"  {who}: {shares[who, True]:.3f} cores while everyone is there, "
            f"{shares[who, False]:.3f} while nobody is"
        )
    more = shares["server", True] - shares["server", False]
    of_training = more / shares["training", False]
    print(
        f"  what the server takes more with everyone there is {of_training:.1%} of what training "
        "takes with nobody there"
    )


def _cpu_share(samples: list[Sample], turns: list[Turn], who: str, watched: bool) -> float:
    """Returns cores that are taken on average in turns of a kind."""
    shares = []
    for was_watched, start, end in turns:
        inside = [one for one in samples if start <= one.at <= end]
        if was_watched == watched and len(inside) > 1:
            spent = getattr(inside[-1], who) - getattr(inside[0], who)
            shares.append(spent / (inside[-1].at - inside[0].at))
    return float(statistics.mean(shares))


def _report_speed(turns: list[Turn], steps: list[MetricEvent]) -> None:
    """Prints the training's speed with everyone there to that with nobody, turn by turn."""
    speeds = [_speed(steps, start, end) for _, start, end in turns]
    ratios = [
        2 * with_all / (before + after)
        for before, with_all, after in zip(speeds[::2], speeds[1::2], speeds[2::2], strict=False)
        if min(before, with_all, after) > 0
    ]
    if len(ratios) < 2:
        print("  training was too slow, or this too short, to tell what watching costs")
        return
    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    print(
        f"  training, watched to unwatched: {statistics.mean(ratios):.3f} ± {error:.3f} (mean and "
        f"standard error of {len(ratios)} visits; {statistics.median(speeds):.1f} steps/s)"
    )


def _speed(steps: list[MetricEvent], start: float, end: float) -> float:
    """Returns steps a second, 0 where there were too few to tell."""
    told = sum(start <= event.time <= end for event in steps)
    return steps_per_second(steps, start, end) if told > 2 else 0.0


if __name__ == "__main__":
    main(sys.argv[1:])

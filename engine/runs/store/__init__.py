"""The store: runs and their events, for any number of processes at once."""

from engine.runs.run import Run
from engine.runs.store.acts import StoredActs
from engine.runs.store.adoptions import Adoption, StoredAdoptions
from engine.runs.store.events import NewEvent
from engine.runs.store.marks import MARKS, StoredMarks
from engine.runs.store.queue import StoredQueue
from engine.runs.store.statuses import StoredStatuses

__all__ = ["MARKS", "Adoption", "NewEvent", "Run", "Store"]


class Store(StoredQueue, StoredStatuses, StoredMarks, StoredActs, StoredAdoptions):
    """Reads and writes runs; safe to use from several threads and processes."""

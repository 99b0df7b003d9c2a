"""Everything that can go wrong in a way a person can mend.

Each message is one sentence or more in plain words: what is wrong, with what, and what to do.

    ThawError
    ├── SpecError       a setting is outside its range, or unknown
    ├── DataError       a folder or a picture cannot be used
    ├── WeightsError    pre-trained weights are missing or do not fit
    ├── TrainingError   the training itself went wrong (a loss that is not a number)
    ├── CacheError      something is too large to be kept on disk
    ├── HomeError       Thaw's own folder cannot be written
    ├── StoreError      the store of runs cannot be used
    │   └── RunNotFoundError
    ├── RunFileError    a file with a run in it cannot be written or brought in
    └── ServeError      the dashboard cannot be started
"""


class ThawError(Exception):
    """Base of all errors whose message is meant for a person."""


class SpecError(ThawError):
    """A run's specification has one or more faults; the message lists all of them."""


class DataError(ThawError):
    """A folder or a picture cannot be used."""


class WeightsError(ThawError):
    """Pre-trained weights are missing, damaged or do not fit the architecture."""


class TrainingError(ThawError):
    """Training cannot go on, for a reason that lies in the settings or the data."""


class CacheError(ThawError):
    """An array cannot be kept on disk, or the limit of the cache is no size."""


class HomeError(ThawError):
    """THAW_HOME cannot be created or written."""


class StoreError(ThawError):
    """The store of runs cannot be opened or was made by a newer Thaw."""


class RunNotFoundError(StoreError):
    """No run, or more than one, answers to the given id."""


class RunFileError(ThawError):
    """A run cannot be written to a file, or a file with a run in it cannot be brought in."""


class ServeError(ThawError):
    """The dashboard cannot be served at the wanted address."""

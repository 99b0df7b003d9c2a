"""A store under many hands for a long time: `python -m tests.soak --minutes 60`."""

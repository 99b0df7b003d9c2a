"""Runs: the store, the queue, the processes that train."""

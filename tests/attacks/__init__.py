"""Attacks on a dashboard: `pytest -k attacks -v` lists them, one a line, with what became of it."""

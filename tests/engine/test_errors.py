"""Errors meant for people have one root, so that one `except` shows them all."""

import inspect

from engine import errors


def test_every_error_is_a_thaw_error_with_a_docstring() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert len(kinds) > 5
    for kind in kinds:
        assert issubclass(kind, errors.ThawError)
        assert kind.__doc__
        assert kind.__name__ in (errors.__doc__ or "")

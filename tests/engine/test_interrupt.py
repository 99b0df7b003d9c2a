"""Ctrl-C: the first is noted, the second interrupts."""

import os
import signal

import pytest

from engine.cli.interrupt import first_interrupt


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_is_noted_and_breaks_nothing_off() -> None:
    with first_interrupt() as interrupt:
        assert not interrupt.pressed
        press()
        assert interrupt.pressed


def test_the_second_interrupts() -> None:
    with first_interrupt():
        press()
        with pytest.raises(KeyboardInterrupt):
            press()


def test_afterwards_it_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with first_interrupt():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before

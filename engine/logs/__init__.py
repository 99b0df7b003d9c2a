"""Logs: one structured line an event, of every process of Thaw's. No torch here."""

from engine.logs.notes import note
from engine.logs.setup import start_logs

__all__ = ["note", "start_logs"]

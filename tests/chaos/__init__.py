"""What befalls runs, and what becomes of them: `make chaos`."""

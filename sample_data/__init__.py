"""Data sets that ship with Thaw; see README.md here for where they come from."""

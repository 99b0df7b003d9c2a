"""`python -m engine.cli`: the command line, where no `thaw` is on the path."""

from engine.cli import main

main()

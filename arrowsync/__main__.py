"""python -m arrowsync."""

from arrowsync.cli import main

main()

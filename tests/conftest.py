"""Loads the themed fixtures; each plugin says what it gives."""

from hypothesis import settings

pytest_plugins = ["tests.fix_postgresql", "tests.fix_sqlite", "tests.fix_proxy"]

# pytest-timeout bounds whole tests; an example's own deadline only fails on a busy machine.
settings.register_profile("arrowsync", deadline=None)
settings.load_profile("arrowsync")

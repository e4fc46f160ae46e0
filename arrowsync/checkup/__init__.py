"""Looks at what serves each scheme here, and how well. Finds values; display/ shows them."""

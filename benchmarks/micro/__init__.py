"""What the engine's smallest steps cost, by pytest-benchmark."""

"""How rows move: memory, batch sizes, pipes, fingerprints. Knows the contracts and no endpoint."""

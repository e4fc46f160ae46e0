"""Files as a source and as a sink: `place` is the endpoint, a folder commits, a format reads and writes."""

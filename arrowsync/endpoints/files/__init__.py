"""Files as a source and as a sink: one table in a file, a folder or a pattern.

`place` is the endpoint. A folder commits and resumes: `target`, `journal`, `receipts`, `staging`, `writer`.
How rows lie in a file is a format's: `format` says what one has to bring, `formats` which there are.
"""

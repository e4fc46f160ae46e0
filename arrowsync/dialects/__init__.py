"""What differs between databases, one dialect each: SQL, catalogues, types, errors. Imports core only."""

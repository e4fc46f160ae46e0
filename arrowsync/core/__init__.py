"""Values and contracts; imports pyarrow only."""

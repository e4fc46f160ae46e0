"""Statements that look before they act: DO blocks, for what plain DDL cannot decide on the server."""

from __future__ import annotations

from arrowsync.core.table import UserType


def quote_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def do_block(body: str) -> str:
    """The body in a dollar quote that nothing in it ends, whatever names people have given."""
    tag = next(tag for n in range(len(body)) if (tag := f"$t{n}$") not in body)
    return f"do {tag} {body} {tag}"


def make_type(type: UserType) -> str:
    """Makes the type unless it is there; planning has compared one that is."""
    definition, name = type.definition or "", quote_text(type.name)
    if type.extension:
        return definition
    if type.comment:
        definition += f";\n    comment on type {type.name} is {quote_text(type.comment)}"
    schema = quote_text(type.name[: _schema_end(type.name)])
    return do_block(
        "begin\n"
        f"  if to_regtype({name}) is null then\n"
        f"    if to_regnamespace({schema}) is null then execute 'create schema ' || {schema}; end if;\n"
        f"    {definition};\n"
        "  end if;\nend"
    )


def _schema_end(name: str) -> int:
    """Where the dot behind the schema of a qualified, quoted name is."""
    quoted = False
    for position, letter in enumerate(name):
        quoted ^= letter == '"'
        if letter == "." and not quoted:
            return position
    return 0


# Relations of a schema but for a table's own indexes and sequences.
TAKEN = """from pg_class c
  where c.relnamespace = to_regnamespace(quote_ident({schema}))
    and not exists (select from pg_index i where i.indexrelid = c.oid and i.indrelid = to_regclass({table}))
    and not exists (select from pg_depend d
      where d.objid = c.oid and d.refobjid = to_regclass({table}) and d.deptype in ('a', 'i'))"""

CHECK_NAMES = f"""declare taken text; begin
  select c.relname into taken {TAKEN}
    and c.relname in ({{names}})
  limit 1;
  if found then
    raise exception 'the name "%" is taken in the target', taken
      using errcode = '42P07', hint = 'Rename or drop what bears it';
  end if;
end"""

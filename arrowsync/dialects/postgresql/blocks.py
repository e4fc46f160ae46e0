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

# Owner, rights, triggers, rules, policies and comment of the old table go over to the new one, and so do
# other tables' foreign keys, which stay unchecked where rows break them. A view on the old table makes the
# drop fail, and the old table stays.
SWAP = """declare
  kept text[]; dropped text[]; added text[]; checked text[]; step text;
  target text := {old}; old regclass := {old};
begin
  select array_agg(steps.text order by steps.place) into kept from (
    select 1, format('alter table %s owner to %I', target, pg_get_userbyid(c.relowner)) from pg_class c
    where c.oid = old and c.relowner <> (select oid from pg_roles where rolname = current_user)
    union all
    select 2, format('grant %s on table %s to %s%s', a.privilege_type, target,
      case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
      case when a.is_grantable then ' with grant option' else '' end)
    from pg_class c cross join aclexplode(c.relacl) a where c.oid = old and a.grantee <> c.relowner
    union all
    select 3, pg_get_triggerdef(t.oid) from pg_trigger t where t.tgrelid = old and not t.tgisinternal
    union all
    select 4, format('alter table %s disable trigger %I', target, t.tgname) from pg_trigger t
    where t.tgrelid = old and not t.tgisinternal and t.tgenabled = 'D'
    union all
    select 3, pg_get_ruledef(r.oid) from pg_rewrite r where r.ev_class = old
    union all
    select 5, format('alter table %s force row level security', target) from pg_class c
    where c.oid = old and c.relforcerowsecurity
    union all
    select 5, format('alter table %s enable row level security', target) from pg_class c
    where c.oid = old and c.relrowsecurity
    union all
    select 6, format('create policy %I on %s as %s for %s to %s%s%s', p.polname, target,
      case when p.polpermissive then 'permissive' else 'restrictive' end,
      case p.polcmd
        when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
        else 'all' end,
      (select string_agg(case r when 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ')
       from unnest(p.polroles) r),
      ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
      ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
    from pg_policy p where p.polrelid = old
    union all
    select 7, format('comment on table %s is %L', target, obj_description(old, 'pg_class'))
    where obj_description(old, 'pg_class') is not null
  ) as steps(place, text);
  select array_agg(format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname)),
    array_agg(format('alter table %s add constraint %I %s not valid', c.conrelid::regclass, c.conname,
      regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', ''))),
    array_agg(format('alter table %s validate constraint %I', c.conrelid::regclass, c.conname))
    into dropped, added, checked from pg_constraint c
  where c.confrelid = old and c.conrelid <> old and c.contype = 'f' and c.conparentid = 0;
  foreach step in array coalesce(dropped, '{{}}') loop execute step; end loop;
  execute format('drop table %s', target);
  execute format('alter table %s rename to %I', {new}, {name});
  foreach step in array coalesce(kept || added, '{{}}') loop execute step; end loop;
  foreach step in array coalesce(checked, '{{}}') loop
    begin execute step; exception when foreign_key_violation then null; end;
  end loop;
end"""

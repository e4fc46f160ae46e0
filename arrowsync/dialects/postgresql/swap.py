"""`replace`: the new table takes the old one's place, and what belongs to the old one beside its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import TablePlan
from arrowsync.core.table import Check, Index, Key
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql.names import Part, parts
from arrowsync.dialects.postgresql.plpgsql import do_block, quote_text

_ROLE = "case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end"
_GRANTEE = f"{_ROLE} || case when a.is_grantable then ' with grant option' else '' end"

# What belongs to the table {old} and goes over to its successor, called {target}: a statement each, in the
# order of `place`, for a successor that has the columns it `needs`, and the index or sequence `part`, where
# one is named, fit for the `use`. `allowed`: whether this user may.
_BELONGINGS = """
select 0 as place, 'the owner' as what, '{}'::text[] as needs, null::text as part, null::text as use,
  true as allowed,
  format('alter table %s owner to %I', {target}, pg_get_userbyid(c.relowner)) as statement from pg_class c
where c.oid = {old} and c.relowner <> (select oid from pg_roles where rolname = current_user)
union all
-- What default privileges gave the new table only.
select distinct 1, 'rights', '{}'::text[], null, null, true,
  format('revoke all on table %s from %s', {target}, {role})
from pg_class c join pg_default_acl d on d.defaclobjtype = 'r' and d.defaclnamespace in (0, c.relnamespace)
  and d.defaclrole = (select oid from pg_roles where rolname = current_user)
cross join aclexplode(d.defaclacl) a where c.oid = {old} and a.grantee not in (c.relowner, d.defaclrole)
union all
select 2, 'rights', '{}', null, null, true, format('grant %s on table %s to %s', a.privilege_type, {target},
  {grantee})
from pg_class c cross join aclexplode(c.relacl) a where c.oid = {old} and a.grantee <> c.relowner
union all
select 2, format('the right to %s column %I', lower(a.privilege_type), t.attname), array[t.attname::text],
  null, null, true, format('grant %s (%I) on table %s to %s', a.privilege_type, t.attname, {target},
    {grantee})
from pg_attribute t join pg_class c on c.oid = t.attrelid cross join aclexplode(t.attacl) a
where t.attrelid = {old} and not t.attisdropped and a.grantee <> c.relowner
union all
select 2, format('the right to sequence %I', s.relname), '{}', s.relname::text, 'sequence', true,
  format('grant %s on sequence %I.%I to %s', a.privilege_type, n.nspname, s.relname,
    {grantee})
from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
join pg_namespace n on n.oid = s.relnamespace cross join aclexplode(s.relacl) a
where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = {old}
  and d.deptype in ('a', 'i') and a.grantee <> s.relowner
union all
select 3, 'trigger ' || t.tgname, '{}', null, null, true, pg_get_triggerdef(t.oid)
from pg_trigger t where t.tgrelid = {old} and not t.tgisinternal
union all
select 4, 'trigger ' || t.tgname, '{}', null, null, true, format('alter table %s %s trigger %I', {target},
  case t.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, t.tgname)
from pg_trigger t where t.tgrelid = {old} and not t.tgisinternal and t.tgenabled <> 'O'
union all
select 3, 'rule ' || r.rulename, '{}', null, null, true, pg_get_ruledef(r.oid)
from pg_rewrite r where r.ev_class = {old}
union all
select 4, 'rule ' || r.rulename, '{}', null, null, true, format('alter table %s %s rule %I', {target},
  case r.ev_enabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end,
  r.rulename)
from pg_rewrite r where r.ev_class = {old} and r.ev_enabled <> 'O'
union all
select 5, 'row security', '{}', null, null, true, format('alter table %s force row level security', {target})
from pg_class c where c.oid = {old} and c.relforcerowsecurity
union all
select 5, 'row security', '{}', null, null, true, format('alter table %s enable row level security', {target})
from pg_class c where c.oid = {old} and c.relrowsecurity
union all
select 6, 'policy ' || p.polname, '{}', null, null, true,
  format('create policy %I on %s as %s for %s to %s%s%s', p.polname, {target},
    case when p.polpermissive then 'permissive' else 'restrictive' end,
    case p.polcmd
      when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
      else 'all' end,
    (select string_agg(case r when 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ')
     from unnest(p.polroles) r),
    ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
    ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
from pg_policy p where p.polrelid = {old}
union all
select 7, format('membership in publication %I', p.pubname),
  coalesce((select array_agg(distinct a.attname::text) from pg_depend d
    join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where d.classid = 'pg_publication_rel'::regclass and d.objid = m.oid and d.refobjid = {old}), '{}'),
  null, null, pg_has_role(p.pubowner, 'usage'),
  format('alter publication %I add table only %s%s%s', p.pubname, {target},
    ' (' || (select string_agg(quote_ident(a.attname), ', ') from pg_attribute a where a.attrelid = {old}
      and to_jsonb(m) -> 'prattrs' @> to_jsonb(a.attnum)) || ')',
    -- 14 knows neither columns nor conditions, and this view knows which
    ' where (' || (select to_jsonb(v) ->> 'rowfilter' from pg_publication_tables v
      join pg_class c on c.relname = v.tablename join pg_namespace n
        on n.oid = c.relnamespace and n.nspname = v.schemaname
      where v.pubname = p.pubname and c.oid = {old}) || ')')
from pg_publication_rel m join pg_publication p on p.oid = m.prpubid where m.prrelid = {old}
union all
select 7, 'replica identity', '{}', null, null, true, format('alter table %s replica identity %s', {target},
    case c.relreplident when 'f' then 'full' else 'nothing' end)
from pg_class c where c.oid = {old} and c.relreplident in ('f', 'n')
union all
select 7, format('replica identity using index %I', x.relname), '{}', x.relname::text, 'identity', true,
  format('alter table %s replica identity using index %I', {target}, x.relname)
from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = {old} and i.indisreplident
union all
select 7, format('cluster on %I', x.relname), '{}', x.relname::text, 'cluster', true,
  format('alter table %s cluster on %I', {target}, x.relname)
from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = {old} and i.indisclustered
union all
select made.place, format('statistics %I.%I', n.nspname, s.stxname), needed.names, null, null,
  has_schema_privilege(n.oid, 'create'), made.statement
from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace
cross join lateral (
  select coalesce(array_agg(distinct a.attname::text), '{}') as names from pg_depend d
  join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
  where d.classid = 'pg_statistic_ext'::regclass and d.objid = s.oid and d.refobjid = {old}) as needed
cross join lateral (
  select 7, pg_get_statisticsobjdef(s.oid)
  union all select 8,
    format('alter statistics %I.%I set statistics %s', n.nspname, s.stxname, s.stxstattarget)
    where s.stxstattarget >= 0
  union all select 8, format('comment on statistics %I.%I is %L', n.nspname, s.stxname,
    obj_description(s.oid, 'pg_statistic_ext')) where obj_description(s.oid, 'pg_statistic_ext') is not null
  union all select 9, format('alter statistics %I.%I owner to %I', n.nspname, s.stxname,
    pg_get_userbyid(s.stxowner)) where s.stxowner <> (select oid from pg_roles where rolname = current_user)
      and pg_has_role(s.stxowner, 'member') and has_schema_privilege(s.stxowner, n.oid, 'create')
) as made(place, statement)
where s.stxrelid = {old}
union all
select 7, format('the statistics target of column %I', a.attname), array[a.attname::text], null, null, true,
  format('alter table %s alter %I set statistics %s', {target}, a.attname, a.attstattarget)
from pg_attribute a where a.attrelid = {old} and a.attnum > 0 and not a.attisdropped and a.attstattarget >= 0
union all
select 7, format('%s of column %I', array_to_string(a.attoptions, ', '), a.attname), array[a.attname::text],
  null, null, true, format('alter table %s alter %I set (%s)', {target}, a.attname,
    array_to_string(a.attoptions, ', '))
from pg_attribute a where a.attrelid = {old} and not a.attisdropped and a.attoptions is not null
union all
select 8, 'the comment', '{}', null, null, true,
  format('comment on %s is %L', made.what, made.comment)
from (
  select format('table %s', {target}), obj_description({old}, 'pg_class')
  union all select format('trigger %I on %s', tgname, {target}), obj_description(oid, 'pg_trigger')
    from pg_trigger where tgrelid = {old} and not tgisinternal
  union all select format('rule %I on %s', rulename, {target}), obj_description(oid, 'pg_rewrite')
    from pg_rewrite where ev_class = {old}
  union all select format('policy %I on %s', polname, {target}), obj_description(oid, 'pg_policy')
    from pg_policy where polrelid = {old}
) as made(what, comment) where made.comment is not null
union all
select 8, format('the comment of column %I', a.attname), array[a.attname::text], null, null, true,
  format('comment on column %s.%I is %L', {target}, a.attname, col_description({old}, a.attnum))
from pg_attribute a
where a.attrelid = {old} and a.attnum > 0 and not a.attisdropped
  and col_description({old}, a.attnum) is not null
"""

# A view on the old table makes the drop fail, and the old table stays. Other tables' foreign keys go over,
# too, and stay unchecked where rows break them.
_SWAP = """declare
  belongings jsonb; kept text[]; dropped text[]; added text[]; checked text[]; step text;
  target text := {old}; old regclass := {old};
begin
  select coalesce(jsonb_agg(to_jsonb(b)), '[]') into belongings from ({belongings}) as b;
  select array_agg(format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname)),
    array_agg(format('alter table %s add constraint %I %s not valid', c.conrelid::regclass, c.conname,
      regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', ''))),
    array_agg(format('alter table %s validate constraint %I', c.conrelid::regclass, c.conname))
    into dropped, added, checked from pg_constraint c
  where c.confrelid = old and c.conrelid <> old and c.contype = 'f' and c.conparentid = 0;
  foreach step in array coalesce(dropped, '{}') loop execute step; end loop;
  execute format('drop table %s', target);
  execute format('alter table %s rename to %I', {new}, {name});
{renames}
  select array_agg(b ->> 'statement' order by (b ->> 'place')::int) into kept
  from jsonb_array_elements(belongings) as b
  where (b ->> 'allowed')::bool and not exists (
      select from jsonb_array_elements_text(b -> 'needs') as needed(name)
      where needed.name not in (select attname from pg_attribute
        where attrelid = target::regclass and attnum > 0 and not attisdropped))
    and (b ->> 'part' is null or exists (
      select from pg_class c left join pg_index i on i.indexrelid = c.oid and i.indrelid = target::regclass
      where c.relname = b ->> 'part' and case b ->> 'use'
        when 'identity' then i.indisunique and i.indimmediate and i.indpred is null and not exists (
          select from unnest(i.indkey::int2[]) as k(number) left join pg_attribute a
            on a.attrelid = i.indrelid and a.attnum = k.number where a.attnotnull is not true)
        when 'cluster' then i.indpred is null and pg_index_has_property(i.indexrelid, 'clusterable')
        else exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
          and d.refobjid = target::regclass and d.deptype in ('a', 'i')) end));
  foreach step in array coalesce(kept || added, '{}') loop execute step; end loop;
  foreach step in array coalesce(checked, '{}') loop
    begin execute step; exception when foreign_key_violation then null; end;
  end loop;
end"""

# Before the rows come: they are stored by these.
_STORED = """
select 1 as place, 'the access method' as what, true as allowed, format('alter table %s set access method %I',
  {new}, m.amname) as statement
from pg_class c join pg_am m on m.oid = c.relam join pg_class n on n.oid = {new}::regclass
where c.oid = {old} and c.relam <> n.relam
union all
select 2, format('tablespace %I', s.spcname),
  d.dattablespace = s.oid or has_tablespace_privilege(s.oid, 'create'),
  format('alter table %s set tablespace %I', {new}, s.spcname)
from pg_class c join pg_class n on n.oid = {new}::regclass and n.reltablespace <> c.reltablespace
join pg_database d on d.datname = current_database()
join pg_tablespace s on s.oid = coalesce(nullif(c.reltablespace, 0), d.dattablespace) where c.oid = {old}
union all
select 3, 'storage parameters', true, format('alter table %s set (%s)', {new}, string_agg(
  format('%s%s=%L', o.part, split_part(o.option, '=', 1), substr(o.option, strpos(o.option, '=') + 1)), ', '))
from (
  select '', unnest(c.reloptions) from pg_class c where c.oid = {old}
  union all select 'toast.', unnest(t.reloptions) from pg_class c join pg_class t on t.oid = c.reltoastrelid
  where c.oid = {old}
) as o(part, option) having count(*) > 0
union all
select 4, format('the storage of column %I', a.attname), true, format('alter table %s alter %I set %s', {new},
  a.attname, set_to.how)
from pg_attribute a join pg_type t on t.oid = a.atttypid
join pg_attribute b on b.attrelid = {new}::regclass and b.attname = a.attname and not b.attisdropped
join pg_type u on u.oid = b.atttypid and u.typstorage <> 'p'
cross join lateral (
  select 'storage ' || case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main'
    else 'extended' end where a.attstorage <> t.typstorage
  union all select 'compression ' || case a.attcompression when 'l' then 'lz4' else 'pglz' end
  where a.attcompression in ('l', 'p')
) as set_to(how)
where a.attrelid = {old} and a.attnum > 0 and not a.attisdropped
"""
_LIKE_OLD = """declare step text; old regclass := {old};
begin
  for step in select statement from ({stored}) as s where allowed order by place loop execute step; end loop;
end"""


# What no statement gives the new table. Rows in an unlogged one would not outlive a crash, but their receipts
# would.
_NEVER = """
select 'unlogged', 'the new table outlives a crash' from pg_class
where oid = {old} and relpersistence = 'u'
union all
select 'partitioning by ' || lower(pg_get_partkeydef(oid)), 'the new table is one' from pg_class
where oid = {old} and relkind = 'p'
union all
select 'tablespace ' || s.spcname, 'the right to create tables there is missing'
from pg_class c join pg_tablespace s on s.oid = c.reltablespace
where c.oid = {old} and not has_tablespace_privilege(s.oid, 'create')
"""


def like_old(old: str, new: str) -> str:
    """The statement that has the new, empty table store its rows as the old one does. Names are quoted."""
    stored = _filled(_STORED, old="old", new=quote_text(new))
    return do_block(_filled(_LIKE_OLD, old=quote_text(old), stored=stored))


def swap(old: str, new: str, name: str, renames: Sequence[str]) -> str:
    """The statement that drops the old table and calls the new one `name`; `renames` do so for its parts."""
    lines = "\n".join(f"  {rename};" for rename in renames)
    return do_block(
        _filled(
            _SWAP,
            belongings=_belongings(old="old", target="target"),
            renames=lines,
            old=quote_text(old),
            new=quote_text(new),
            name=quote_text(name),
        )
    )


def lost(connection: Connection, dialect: Dialect, plan: TablePlan) -> Iterator[str]:
    """What the table that `replace` swaps in will lack of the old one's, a sentence each."""
    if not plan.write.swaps:
        return
    old = f"{quote_text(dialect.quote_table(plan.target.name))}::regclass"
    reasons: dict[str, str] = dict(connection.rows(_filled(_NEVER, old=old)))
    for _, what, needs, part, use, allowed, _ in connection.rows(_belongings(old=old, target="''")):
        if reason := _why_lost(plan, needs, part, use, allowed):
            reasons.setdefault(what, reason)
    yield from (f"{what} is not carried over: {reason}" for what, reason in reasons.items())


def _why_lost(plan: TablePlan, needs: Sequence[str], part: str | None, use: str | None, allowed: bool) -> str:
    if not allowed:
        return "its owner alone may do that"
    columns = {column.name for column in plan.target.columns}
    if lacking := [name for name in needs if name not in columns]:
        return f"the new table has no column {lacking[0]!r}"
    if part is None:
        return ""
    made = next((each for each in parts(plan) if each.name == part), None)
    if made is None:
        return f"the new table has no {'sequence' if use == 'sequence' else 'index'} {part!r}"
    return "" if _serves(plan, made, use) else f"the new table's {part!r} does not serve for that"


def _serves(plan: TablePlan, part: Part, use: str | None) -> bool:
    """Whether rows can be identified by it or put into its order."""
    of = part.of
    if isinstance(of, Key):
        return use == "cluster" or (
            "deferrable" not in (of.definition or "").lower() and _are_given(plan, of.columns)
        )
    if isinstance(of, Index):
        if use == "identity":
            return of.unique and not of.where and bool(of.columns) and _are_given(plan, of.columns)
        method = "" if of.columns else (of.definition or "").partition(" USING ")[2].partition(" ")[0]
        return not of.where and method in ("", "btree", "gist")
    return not isinstance(of, Check) or use == "cluster"


def _are_given(plan: TablePlan, names: Sequence[str]) -> bool:
    """Whether the columns have a value in each row."""
    return not any(column.nullable for column in plan.target.columns if column.name in names)


def _belongings(*, old: str, target: str) -> str:
    return _filled(_BELONGINGS, old=old, target=target, role=_ROLE, grantee=_GRANTEE)


def _filled(text: str, **values: str) -> str:
    """Not str.format: '{}' is an empty array here. In one go: a value may hold braces of its own."""
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)

-- needs: SELECT on the catalogues of pg_catalog
-- What tells whether anything was committed in a catalogue since another transaction looked: its rows, and
-- of those that were written since %(since)s (the oldest transaction that was running then) which they
-- are. Rows that are older were all there then, so that as many of them are the very same ones. Rows of
-- temporary and TOAST relations come and go with ordinary work and are left out, and what depends on no
-- extension. Roles are named in every kind.
WITH since AS MATERIALIZED (
    SELECT age(%(since)s::text::xid) AS age
), transient AS MATERIALIZED (
    SELECT n.oid FROM pg_namespace AS n WHERE n.nspname ~ '^pg_(toast_)?temp_[0-9]+$'
), relations AS MATERIALIZED (
    SELECT c.oid FROM pg_class AS c
    WHERE c.relnamespace IN (SELECT t.oid FROM transient AS t)
        OR (c.relnamespace = 'pg_toast'::regnamespace AND c.relkind IN ('t', 'i'))
)
SELECT
    'pg_roles' AS catalogue, count(*) AS rows,
    encode(sha256(convert_to(string_agg(concat_ws(' ', r.oid, r.rolsuper, quote_ident(r.rolname)), E'\n' ORDER BY r.oid), 'UTF8')), 'hex') AS recent
FROM pg_roles AS r
UNION ALL SELECT 'pg_aggregate', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_aggregate AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_am', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_am AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_amop', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_amop AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_amproc', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_amproc AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_attrdef', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_attrdef AS x CROSS JOIN since AS s WHERE x.adrelid NOT IN (SELECT r.oid FROM relations AS r)
UNION ALL SELECT 'pg_attribute', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_attribute AS x CROSS JOIN since AS s WHERE x.attrelid NOT IN (SELECT r.oid FROM relations AS r)
UNION ALL SELECT 'pg_cast', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_cast AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_class', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_class AS x CROSS JOIN since AS s WHERE x.oid NOT IN (SELECT r.oid FROM relations AS r)
UNION ALL SELECT 'pg_collation', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_collation AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_constraint', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_constraint AS x CROSS JOIN since AS s WHERE x.conrelid NOT IN (SELECT r.oid FROM relations AS r)
UNION ALL SELECT 'pg_conversion', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_conversion AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_database', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_database AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_db_role_setting', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_db_role_setting AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_default_acl', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_default_acl AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_depend', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_depend AS x CROSS JOIN since AS s WHERE x.deptype IN ('e', 'x') OR (x.deptype IN ('a', 'i') AND x.classid = 'pg_class'::regclass AND x.refclassid = 'pg_class'::regclass AND x.refobjsubid <> 0 AND x.objid NOT IN (SELECT r.oid FROM relations AS r))
UNION ALL SELECT 'pg_description', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_description AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_enum', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_enum AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_event_trigger', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_event_trigger AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_extension', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_extension AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_foreign_data_wrapper', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_foreign_data_wrapper AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_foreign_server', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_foreign_server AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_foreign_table', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_foreign_table AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_index', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_index AS x CROSS JOIN since AS s WHERE x.indrelid NOT IN (SELECT r.oid FROM relations AS r)
UNION ALL SELECT 'pg_inherits', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_inherits AS x CROSS JOIN since AS s WHERE x.inhrelid NOT IN (SELECT r.oid FROM relations AS r)
UNION ALL SELECT 'pg_init_privs', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_init_privs AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_language', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_language AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_largeobject_metadata', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_largeobject_metadata AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_namespace', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_namespace AS x CROSS JOIN since AS s WHERE x.oid NOT IN (SELECT t.oid FROM transient AS t)
UNION ALL SELECT 'pg_opclass', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_opclass AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_operator', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_operator AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_opfamily', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_opfamily AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_parameter_acl', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_parameter_acl AS x CROSS JOIN since AS s --@ >=15
UNION ALL SELECT 'pg_partitioned_table', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_partitioned_table AS x CROSS JOIN since AS s WHERE x.partrelid NOT IN (SELECT r.oid FROM relations AS r)
UNION ALL SELECT 'pg_policy', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_policy AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_proc', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_proc AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_publication', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_publication AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_publication_namespace', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_publication_namespace AS x CROSS JOIN since AS s --@ >=15
UNION ALL SELECT 'pg_publication_rel', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_publication_rel AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_range', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_range AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_replication_origin', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_replication_origin AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_rewrite', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_rewrite AS x CROSS JOIN since AS s WHERE x.ev_class NOT IN (SELECT r.oid FROM relations AS r)
UNION ALL SELECT 'pg_seclabel', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_seclabel AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_sequence', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_sequence AS x CROSS JOIN since AS s WHERE x.seqrelid NOT IN (SELECT r.oid FROM relations AS r)
UNION ALL SELECT 'pg_shdescription', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_shdescription AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_shseclabel', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_shseclabel AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_statistic_ext', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_statistic_ext AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_tablespace', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_tablespace AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_transform', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_transform AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_trigger', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_trigger AS x CROSS JOIN since AS s WHERE x.tgrelid NOT IN (SELECT r.oid FROM relations AS r)
UNION ALL SELECT 'pg_ts_config', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_ts_config AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_ts_config_map', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_ts_config_map AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_ts_dict', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_ts_dict AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_ts_parser', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_ts_parser AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_ts_template', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_ts_template AS x CROSS JOIN since AS s
UNION ALL SELECT 'pg_type', count(*), encode(sha256(convert_to(string_agg(x.ctid::text || x.xmin::text, ' ' ORDER BY x.ctid) FILTER (WHERE age(x.xmin) <= s.age), 'UTF8')), 'hex') FROM pg_type AS x CROSS JOIN since AS s WHERE x.typnamespace NOT IN (SELECT t.oid FROM transient AS t)

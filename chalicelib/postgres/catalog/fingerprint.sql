-- needs: SELECT on the catalogues of pg_catalog
-- Rows and the sum of their transaction ids, for each catalogue that pg_get_*def functions consult
-- with a snapshot newer than ours. With as many rows as before, any change raises the sum: a new
-- row's id is higher than that of any row it can stand for. Rows of temporary and TOAST relations
-- come and go with ordinary work and are left out; of pg_class only what definitions print counts,
-- since TRUNCATE rewrites its rows too.
WITH transient AS (
    SELECT n.oid FROM pg_namespace AS n WHERE n.nspname ~ '^pg_(toast_)?temp_[0-9]+$'
), relations AS (
    SELECT c.oid FROM pg_class AS c
    WHERE c.relnamespace IN (SELECT t.oid FROM transient AS t)
        OR (c.relnamespace = 'pg_toast'::regnamespace AND c.relkind IN ('t', 'i'))
)
SELECT 'pg_namespace' AS catalogue, count(*) AS rows, sum(n.xmin::text::bigint) AS ids FROM pg_namespace AS n WHERE n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
UNION ALL SELECT 'pg_class', count(*), sum(hashtextextended(concat_ws(' ', c.oid, c.relname, c.relnamespace, c.reltablespace, c.relam, c.reloptions), 0)) FROM pg_class AS c WHERE c.oid NOT IN (SELECT r.oid FROM relations AS r)
UNION ALL SELECT 'pg_attribute', count(*), sum(a.xmin::text::bigint) FROM pg_attribute AS a WHERE a.attnum > 0 AND a.attrelid NOT IN (SELECT r.oid FROM relations AS r) --@ reads pg_attribute
UNION ALL SELECT 'pg_attrdef', count(*), sum(d.xmin::text::bigint) FROM pg_attrdef AS d WHERE d.adrelid NOT IN (SELECT r.oid FROM relations AS r) --@ reads pg_attrdef
UNION ALL SELECT 'pg_constraint', count(*), sum(o.xmin::text::bigint) FROM pg_constraint AS o WHERE o.conrelid NOT IN (SELECT r.oid FROM relations AS r) AND o.contypid NOT IN (SELECT t.oid FROM pg_type AS t WHERE t.typnamespace IN (SELECT x.oid FROM transient AS x)) --@ reads pg_constraint, pg_type
UNION ALL SELECT 'pg_index', count(*), sum(i.xmin::text::bigint) FROM pg_index AS i WHERE i.indrelid NOT IN (SELECT r.oid FROM relations AS r) --@ reads pg_index
UNION ALL SELECT 'pg_rewrite', count(*), sum(w.xmin::text::bigint) FROM pg_rewrite AS w WHERE w.ev_class NOT IN (SELECT r.oid FROM relations AS r) --@ reads pg_rewrite
UNION ALL SELECT 'pg_trigger', count(*), sum(g.xmin::text::bigint) FROM pg_trigger AS g WHERE g.tgrelid NOT IN (SELECT r.oid FROM relations AS r) --@ reads pg_trigger
UNION ALL SELECT 'pg_policy', count(*), sum(p.xmin::text::bigint) FROM pg_policy AS p WHERE p.polrelid NOT IN (SELECT r.oid FROM relations AS r) --@ reads pg_policy
UNION ALL SELECT 'pg_proc', count(*), sum(p.xmin::text::bigint) FROM pg_proc AS p WHERE p.pronamespace NOT IN (SELECT x.oid FROM transient AS x) --@ reads pg_proc
UNION ALL SELECT 'pg_aggregate', count(*), sum(a.xmin::text::bigint) FROM pg_aggregate AS a WHERE a.aggfnoid NOT IN (SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace IN (SELECT x.oid FROM transient AS x)) --@ reads pg_aggregate, pg_proc
UNION ALL SELECT 'pg_type', count(*), sum(t.xmin::text::bigint) FROM pg_type AS t WHERE t.typnamespace NOT IN (SELECT x.oid FROM transient AS x) --@ reads pg_type
UNION ALL SELECT 'pg_operator', count(*), sum(o.xmin::text::bigint) FROM pg_operator AS o WHERE o.oprnamespace NOT IN (SELECT x.oid FROM transient AS x) --@ reads pg_operator
UNION ALL SELECT 'pg_opclass', count(*), sum(o.xmin::text::bigint) FROM pg_opclass AS o WHERE o.opcnamespace NOT IN (SELECT x.oid FROM transient AS x) --@ reads pg_opclass
UNION ALL SELECT 'pg_collation', count(*), sum(c.xmin::text::bigint) FROM pg_collation AS c WHERE c.collnamespace NOT IN (SELECT x.oid FROM transient AS x) --@ reads pg_collation
UNION ALL SELECT 'pg_enum', count(*), sum(e.xmin::text::bigint) FROM pg_enum AS e WHERE e.enumtypid NOT IN (SELECT t.oid FROM pg_type AS t WHERE t.typnamespace IN (SELECT x.oid FROM transient AS x)) --@ reads pg_enum, pg_type

-- kind: constraint
-- needs: SELECT on pg_constraint, pg_class, pg_type, pg_trigger, pg_namespace, pg_depend, pg_description
-- since: 13
-- name: {name}
-- of: {meta_of}
-- required: definition__constraint
-- NOT NULL constraints (18) are attributes of columns. A foreign key to a partitioned table has one
-- more row for each partition; those are made by the server and left out, but their triggers count: those
-- on the partitions of the referenced table belong to them. A trigger is looked at only where it is not
-- as the server made it, and told with its table unless that is the one that everybody expects.
WITH RECURSIVE owner (class, oid, name) AS MATERIALIZED (
    SELECT
        'pg_class'::regclass, c.oid,
        CASE WHEN n.nspname ~ '^[a-z_][a-z0-9_$]*$' THEN n.nspname
            ELSE '"' || replace(n.nspname, '"', '""') || '"' END
        || '.' || CASE WHEN c.relname ~ '^[a-z_][a-z0-9_$]*$' THEN c.relname
            ELSE '"' || replace(c.relname, '"', '""') || '"' END
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    UNION ALL
    SELECT
        'pg_type'::regclass, t.oid,
        CASE WHEN n.nspname ~ '^[a-z_][a-z0-9_$]*$' THEN n.nspname
            ELSE '"' || replace(n.nspname, '"', '""') || '"' END
        || '.' || CASE WHEN t.typname ~ '^[a-z_][a-z0-9_$]*$' THEN t.typname
            ELSE '"' || replace(t.typname, '"', '""') || '"' END
    FROM pg_type AS t
    JOIN pg_namespace AS n ON n.oid = t.typnamespace
    WHERE t.typtype = 'd' AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
), altered AS (
    SELECT
        g.tgconstraint, g.tgrelid,
        CASE g.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' ELSE 'always' END AS state,
        CASE
            WHEN g.tgfoid = 'unique_key_recheck'::regproc THEN 'recheck'
            WHEN g.tgfoid = '"RI_FKey_check_ins"'::regproc THEN 'insert'
            WHEN g.tgfoid = '"RI_FKey_check_upd"'::regproc THEN 'update'
            WHEN g.tgtype & 8 <> 0 THEN 'referenced delete'
            ELSE 'referenced update'
        END AS event
    FROM pg_trigger AS g
    WHERE g.tgisinternal AND g.tgconstraint <> 0 AND g.tgenabled <> 'O'
), ascent (oid, at) AS (
    SELECT DISTINCT g.tgconstraint, g.tgconstraint FROM altered AS g
    UNION
    SELECT s.oid, up.oid
    FROM ascent AS s
    JOIN pg_constraint AS k ON k.oid = s.at
    JOIN pg_constraint AS up ON up.oid = k.conparentid AND up.conrelid = k.conrelid
), told AS (
    SELECT
        s.at AS root, g.event,
        string_agg(
            CASE WHEN g.tgrelid IN (k.conrelid, k.confrelid) THEN g.state
                ELSE format('%s on %I.%I', g.state, n.nspname, c.relname) END,
            '; ' ORDER BY g.tgrelid IN (k.conrelid, k.confrelid) DESC,
                n.nspname COLLATE "C", c.relname COLLATE "C"
        ) AS states
    FROM ascent AS s
    JOIN altered AS g ON g.tgconstraint = s.oid
    JOIN pg_constraint AS k ON k.oid = s.at
    JOIN pg_class AS c ON c.oid = g.tgrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    GROUP BY s.at, g.event
), enforcement AS (
    SELECT
        t.root,
        max(t.states) FILTER (WHERE t.event = 'insert') AS inserts,
        max(t.states) FILTER (WHERE t.event = 'update') AS updates,
        max(t.states) FILTER (WHERE t.event = 'referenced delete') AS deletes_there,
        max(t.states) FILTER (WHERE t.event = 'referenced update') AS updates_there,
        max(t.states) FILTER (WHERE t.event = 'recheck') AS rechecks
    FROM told AS t
    GROUP BY t.root
)
SELECT
    o.name || '.' || CASE WHEN k.conname ~ '^[a-z_][a-z0-9_$]*$' THEN k.conname
        ELSE '"' || replace(k.conname, '"', '""') || '"' END AS name,
    CASE WHEN k.conrelid <> 0 THEN 'table ' ELSE 'type ' END || o.name AS meta_of,
    ARRAY[k.xmin::text] AS meta_xmin, --@ dated
    CASE k.contype
        WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key'
        WHEN 'c' THEN 'check' WHEN 'x' THEN 'exclude' WHEN 't' THEN 'trigger'
    END AS type,
    CASE
        WHEN k.contype = 'c' AND k.conrelid <> 0 AND k.convalidated AND NOT k.connoinherit
            AND k.conenforced --@ >=18
        THEN 'CHECK (' || pg_get_expr(k.conbin, k.conrelid) || ')'
        ELSE pg_get_constraintdef(k.oid)
    END AS definition__constraint,
    k.condeferrable AS deferrable,
    k.condeferred AS initially_deferred,
    k.convalidated AS validated,
    NULLIF(k.conenforced, true) AS enforced, --@ >=18
    CASE WHEN k.contype = 'c' THEN k.connoinherit END AS no_inherit,
    CASE WHEN k.coninhcount > 0 THEN
        CASE WHEN k.conislocal THEN 'merged' ELSE 'inherited' END
    END AS inherited,
    e.inserts AS insert_trigger,
    e.updates AS update_trigger,
    e.deletes_there AS referenced_delete_trigger,
    e.updates_there AS referenced_update_trigger,
    e.rechecks AS recheck_trigger,
    m.description AS comment
FROM pg_constraint AS k
JOIN owner AS o
    ON o.oid = CASE WHEN k.conrelid <> 0 THEN k.conrelid ELSE k.contypid END
    AND o.class = CASE WHEN k.conrelid <> 0 THEN 'pg_class'::regclass ELSE 'pg_type'::regclass END
LEFT JOIN pg_constraint AS up ON up.oid = k.conparentid AND k.conparentid <> 0
LEFT JOIN enforcement AS e ON e.root = k.oid
LEFT JOIN pg_description AS m
    ON m.objoid = k.oid AND m.classoid = 'pg_constraint'::regclass AND m.objsubid = 0
WHERE k.contype <> 'n'
    AND (o.oid >= 16384 OR k.oid >= 16384)
    AND up.conrelid IS DISTINCT FROM k.conrelid
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = o.class AND x.objid = o.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )

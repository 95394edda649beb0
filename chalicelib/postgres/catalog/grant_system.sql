-- kind: grant
-- needs: SELECT on pg_class, pg_attribute, pg_proc, pg_type, pg_namespace, pg_init_privs, pg_roles, pg_depend
-- since: 13
-- name: {meta_kind} {name}{meta_signature} to {meta_grantee}
-- of: {meta_kind} {name}{meta_signature}
-- On objects that came with the server or with an extension, and are left out as such: only what
-- somebody granted or revoked since, by comparison with pg_init_privs. SELECT on pg_authid or EXECUTE
-- on pg_read_file is a privilege like any other.
WITH extension_members AS (
    SELECT d.classid, d.objid FROM pg_depend AS d
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
), objects (class, oid, sub, kind, name, signature, owner, acl, defaults, xmin) AS (
    SELECT
        'pg_class'::regclass, c.oid, 0,
        CASE WHEN c.relkind = 'S' THEN 'sequence'
            WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
        ARRAY[n.nspname, c.relname]::text[], '', c.relowner, c.relacl,
        acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner),
        c.xmin::text
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND c.relpersistence <> 't'
        AND (
            c.oid < 16384
            OR ('pg_class'::regclass, c.oid) IN (SELECT e.classid, e.objid FROM extension_members AS e)
        )
    UNION ALL
    SELECT
        'pg_class'::regclass, c.oid, a.attnum, 'column',
        ARRAY[n.nspname, c.relname, a.attname]::text[], '', c.relowner, a.attacl,
        acldefault('c', c.relowner), a.xmin::text
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE a.attacl IS NOT NULL
        AND a.attrelid IN (
            SELECT r.oid FROM pg_class AS r WHERE r.oid < 16384
            UNION ALL
            SELECT e.objid FROM extension_members AS e WHERE e.classid = 'pg_class'::regclass
        )
    UNION ALL
    SELECT
        'pg_proc'::regclass, p.oid, 0, 'function', ARRAY[n.nspname, p.proname]::text[],
        '(' || oidvectortypes(p.proargtypes) || ')', p.proowner, p.proacl,
        acldefault('f', p.proowner), p.xmin::text
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE p.proacl IS NOT NULL
    UNION ALL
    SELECT
        'pg_type'::regclass, t.oid, 0, 'type', ARRAY[n.nspname, t.typname]::text[], '',
        t.typowner, t.typacl, acldefault('T', t.typowner), t.xmin::text
    FROM pg_type AS t
    JOIN pg_namespace AS n ON n.oid = t.typnamespace
    WHERE t.typacl IS NOT NULL
    UNION ALL
    SELECT
        'pg_namespace'::regclass, n.oid, 0, 'schema', ARRAY[n.nspname]::text[], '', n.nspowner,
        n.nspacl, acldefault('n', n.nspowner), n.xmin::text
    FROM pg_namespace AS n
    WHERE n.nspname NOT IN ('public') AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
), touched AS MATERIALIZED (
    SELECT
        o.class, o.oid, o.sub, o.kind, o.name, o.signature, o.owner, o.xmin,
        coalesce(o.acl, o.defaults) AS acl, coalesce(i.initprivs, o.defaults) AS initial
    FROM objects AS o
    LEFT JOIN pg_init_privs AS i
        ON i.classoid = o.class AND i.objoid = o.oid AND i.objsubid = o.sub
    WHERE (
        o.oid < 16384
        OR (o.class, o.oid) IN (SELECT e.classid, e.objid FROM extension_members AS e)
    ) AND coalesce(o.acl, o.defaults)::text IS DISTINCT FROM coalesce(i.initprivs, o.defaults)::text
), has AS MATERIALIZED (
    SELECT
        t.class, t.oid, t.sub, x.grantee,
        array_agg(ARRAY[x.privilege_type, coalesce(b.rolname, x.grantor::text), x.is_grantable::text])
            AS privileges,
        array_agg(lower(x.privilege_type)) AS held,
        array_agg(
            format('%s %s %s', x.privilege_type, x.grantor, x.is_grantable)
            ORDER BY x.privilege_type, x.grantor, x.is_grantable
        ) AS given
    FROM touched AS t
    CROSS JOIN LATERAL aclexplode(t.acl) AS x
    LEFT JOIN pg_roles AS b ON b.oid = x.grantor
    GROUP BY t.class, t.oid, t.sub, x.grantee
), had AS MATERIALIZED (
    SELECT
        t.class, t.oid, t.sub, x.grantee,
        array_agg(lower(x.privilege_type)) AS held,
        array_agg(
            format('%s %s %s', x.privilege_type, x.grantor, x.is_grantable)
            ORDER BY x.privilege_type, x.grantor, x.is_grantable
        ) AS given
    FROM touched AS t
    CROSS JOIN LATERAL aclexplode(t.initial) AS x
    GROUP BY t.class, t.oid, t.sub, x.grantee
), changed AS (
    SELECT
        class, oid, sub, grantee, has.privileges,
        ARRAY(SELECT p FROM unnest(had.held) AS p WHERE p <> ALL (coalesce(has.held, '{}'))) AS lacks
    FROM has
    FULL JOIN had USING (class, oid, sub, grantee)
    WHERE has.given IS DISTINCT FROM had.given
), entries AS (
    SELECT t.kind, t.name, t.signature, t.owner, t.xmin, c.grantee, c.privileges, c.lacks
    FROM touched AS t
    JOIN changed AS c ON c.class = t.class AND c.oid = t.oid AND c.sub = t.sub
)
SELECT
    e.kind AS meta_kind,
    e.name,
    e.signature AS meta_signature,
    CASE WHEN e.grantee <> 0 THEN ARRAY[coalesce(r.rolname, e.grantee::text)]::text[] END AS meta_grantee,
    ARRAY[e.xmin] AS meta_xmin, --@ dated
    e.privileges AS privileges__acl,
    e.lacks AS lacks__set
FROM entries AS e
LEFT JOIN pg_roles AS r ON r.oid = e.grantee
WHERE e.grantee <> e.owner

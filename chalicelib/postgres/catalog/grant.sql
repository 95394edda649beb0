-- kind: grant
-- needs: SELECT on pg_class, pg_attribute, pg_proc, pg_type, pg_namespace, pg_database, pg_language, pg_foreign_server, pg_foreign_data_wrapper, pg_tablespace, pg_roles, pg_depend
-- since: 13
-- name: {meta_kind} {name}{meta_signature} to {meta_grantee}
-- of: {meta_kind} {name}{meta_signature}
-- The owner's own entry is implied; what it lacks is told by the object. No ACL is the same as the
-- default one, so granting what everybody has already changes nothing.
WITH extension_members AS (
    SELECT d.classid, d.objid FROM pg_depend AS d
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
), objects (kind, name, signature, owner, acl, defaults, xmin) AS (
    SELECT
        CASE WHEN c.relkind = 'S' THEN 'sequence'
            WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
        ARRAY[n.nspname, c.relname]::text[], '', c.relowner, c.relacl,
        acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner),
        c.xmin::text
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND c.relacl IS NOT NULL
        AND c.oid >= 16384 AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
        AND ('pg_class'::regclass, c.oid) NOT IN (SELECT e.classid, e.objid FROM extension_members AS e)
    UNION ALL
    SELECT
        'column', ARRAY[n.nspname, c.relname, a.attname]::text[], '', c.relowner, a.attacl,
        acldefault('c', c.relowner), a.xmin::text
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
        AND c.oid >= 16384 AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
        AND ('pg_class'::regclass, c.oid) NOT IN (SELECT e.classid, e.objid FROM extension_members AS e)
    UNION ALL
    SELECT
        'function', ARRAY[n.nspname, p.proname]::text[],
        '(' || oidvectortypes(p.proargtypes) || ')', p.proowner, p.proacl,
        acldefault('f', p.proowner), p.xmin::text
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE p.oid >= 16384 AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
        AND oidvectortypes(p.proargtypes) !~ '(^|, )pg_temp_[0-9]+[.]'
        AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT e.classid, e.objid FROM extension_members AS e)
        AND NOT EXISTS (
            SELECT FROM pg_depend AS x
            WHERE x.classid = 'pg_proc'::regclass AND x.objid = p.oid AND x.deptype = 'i'
                AND x.refclassid = 'pg_type'::regclass
        )
    UNION ALL
    SELECT
        'type', ARRAY[n.nspname, t.typname]::text[], '', t.typowner, t.typacl,
        acldefault('T', t.typowner), t.xmin::text
    FROM pg_type AS t
    JOIN pg_namespace AS n ON n.oid = t.typnamespace
    WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
        AND t.typtype IN ('e', 'd', 'c', 'r', 'b')
        AND (t.typtype <> 'c' OR t.typrelid IN (SELECT c.oid FROM pg_class AS c WHERE c.relkind = 'c'))
        AND NOT EXISTS (SELECT FROM pg_type AS y WHERE y.typarray = t.oid)
        AND ('pg_type'::regclass, t.oid) NOT IN (SELECT e.classid, e.objid FROM extension_members AS e)
    UNION ALL
    SELECT
        'schema', ARRAY[n.nspname]::text[], '', n.nspowner, n.nspacl,
        acldefault('n', n.nspowner), n.xmin::text
    FROM pg_namespace AS n
    WHERE (n.oid >= 16384 OR n.nspname = 'public') AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
        AND ('pg_namespace'::regclass, n.oid) NOT IN (SELECT e.classid, e.objid FROM extension_members AS e)
    UNION ALL
    SELECT
        'database', ARRAY[b.datname]::text[], '', b.datdba, b.datacl, acldefault('d', b.datdba),
        b.xmin::text
    FROM pg_database AS b
    UNION ALL
    SELECT
        'language', ARRAY[l.lanname]::text[], '', l.lanowner, l.lanacl, acldefault('l', l.lanowner),
        l.xmin::text
    FROM pg_language AS l WHERE l.lanpltrusted
    UNION ALL
    SELECT
        'server', ARRAY[s.srvname]::text[], '', s.srvowner, s.srvacl, acldefault('S', s.srvowner),
        s.xmin::text
    FROM pg_foreign_server AS s
    UNION ALL
    SELECT
        'foreign_data_wrapper', ARRAY[f.fdwname]::text[], '', f.fdwowner, f.fdwacl,
        acldefault('F', f.fdwowner), f.xmin::text
    FROM pg_foreign_data_wrapper AS f
    UNION ALL
    SELECT
        'tablespace', ARRAY[s.spcname]::text[], '', s.spcowner, s.spcacl,
        acldefault('t', s.spcowner), s.xmin::text
    FROM pg_tablespace AS s
    UNION ALL --@ >=15
    SELECT 'parameter', NULL::text[], p.parname, 10::oid, p.paracl, acldefault('p', 10), p.xmin::text --@ >=15
    FROM pg_parameter_acl AS p --@ >=15
), entries AS (
    SELECT o.kind, o.name, o.signature, o.xmin, o.acl, o.defaults, g.grantee, g.privileges, g.given
    FROM objects AS o
    CROSS JOIN LATERAL (
        SELECT
            e.grantee,
            array_agg(
                ARRAY[e.privilege_type, coalesce(b.rolname, e.grantor::text), e.is_grantable::text]
            ) AS privileges,
            array_agg(
                format('%s %s %s', e.privilege_type, e.grantor, e.is_grantable)
                ORDER BY e.privilege_type, e.grantor, e.is_grantable
            ) AS given
        FROM aclexplode(coalesce(o.acl, o.defaults)) AS e
        LEFT JOIN pg_roles AS b ON b.oid = e.grantor
        WHERE e.grantee <> o.owner
        GROUP BY e.grantee
    ) AS g
)
SELECT
    e.kind AS meta_kind,
    e.name,
    e.signature AS meta_signature,
    CASE WHEN e.grantee <> 0 THEN ARRAY[coalesce(r.rolname, e.grantee::text)]::text[] END AS meta_grantee,
    ARRAY[e.xmin] AS meta_xmin, --@ dated
    e.privileges AS privileges__acl,
    CASE WHEN e.acl IS NULL OR e.given = (
        SELECT array_agg(
            format('%s %s %s', d.privilege_type, d.grantor, d.is_grantable)
            ORDER BY d.privilege_type, d.grantor, d.is_grantable
        )
        FROM aclexplode(e.defaults) AS d WHERE d.grantee = e.grantee
    ) THEN true END AS built_in
FROM entries AS e
LEFT JOIN pg_roles AS r ON r.oid = e.grantee

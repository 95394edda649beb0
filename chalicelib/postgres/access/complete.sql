-- Whether a scope's role has every privilege of the scope, by oid, and none on anything else that
-- the grantor gave it.
SELECT
    (
        SELECT count(*) FROM unnest(
            %(oids)s::text[]::oid[], %(kinds)s::text[], %(privileges)s::text[]
        ) AS w(oid, kind, privileges)
        JOIN pg_catalog.pg_class c ON c.oid = w.oid
        WHERE (
            SELECT count(*) FROM pg_catalog.aclexplode(c.relacl) a
            WHERE a.grantee = r.oid
                AND a.privilege_type = ANY (string_to_array(w.privileges, ','))
        ) >= cardinality(string_to_array(w.privileges, ','))
    ) = cardinality(%(oids)s::text[])
    AND NOT EXISTS (
        SELECT FROM unnest(%(schemas)s::text[]) AS s(name)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
            WHERE n.nspname::text = s.name AND a.grantee = r.oid AND a.privilege_type = 'USAGE'
        )
    ) AS complete,
    (
        SELECT count(*) FROM pg_catalog.pg_shdepend d
        JOIN pg_catalog.pg_class c ON c.oid = d.objid
        CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
        WHERE d.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
            AND d.classid = 'pg_catalog.pg_class'::regclass AND d.refobjid = r.oid
            AND d.deptype = 'a' AND d.objsubid = 0 AND a.grantee = r.oid
            AND a.grantor = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %(grantor)s::text)
            AND NOT EXISTS (
                SELECT FROM unnest(%(oids)s::text[]::oid[], %(privileges)s::text[])
                    AS w(oid, privileges)
                WHERE w.oid = c.oid
                    AND a.privilege_type = ANY (string_to_array(w.privileges, ','))
            )
    ) AS more
FROM pg_catalog.pg_roles r
WHERE r.rolname::text = %(scope)s::text

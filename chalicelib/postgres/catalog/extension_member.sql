-- kind: extension_member
-- needs: SELECT on pg_extension, pg_namespace, pg_roles, pg_depend, pg_proc, pg_aggregate, pg_language, pg_class, pg_attribute, pg_attrdef, pg_constraint, pg_index, pg_trigger, pg_policy, pg_rewrite, pg_sequence, pg_type, pg_enum, pg_operator, pg_amop, pg_amproc, pg_opclass, pg_cast, pg_event_trigger, pg_foreign_data_wrapper
-- since: 13
-- name: {meta_type} {name}{meta_identity}
-- of: extension {name_extension}
-- What belongs to an extension, so that nothing is hidden by ALTER EXTENSION … ADD; and a digest of
-- what it does, so that none is replaced: of a function all but its name, of a relation its columns
-- and whatever hangs on it, also what was added to it since. The extension's schema is @ there, and
-- its owner nobody, so that they may move. What others own in it has their name. Types of rows and
-- of arrays are left out: they are what their relations and elements are.
WITH members AS MATERIALIZED (
    SELECT
        d.classid, d.objid, d.objsubid, e.extname, e.extowner, quote_ident(n.nspname) || '.' AS prefix
    FROM pg_depend AS d
    JOIN pg_extension AS e ON e.oid = d.refobjid
    JOIN pg_namespace AS n ON n.oid = e.extnamespace
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
), said (type, name, identity, extname, xmin, said) AS (
    SELECT
        CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS type,
        ARRAY[n.nspname, p.proname]::text[] AS name,
        '(' || oidvectortypes(p.proargtypes) || ')' AS identity,
        m.extname, p.xmin::text AS xmin,
        format(
            '%L %L %L %L %L %L %L %L %L %L %L %L %L %L',
            p.prosrc, p.probin, p.prosecdef, p.proconfig, p.proleakproof,
            CASE WHEN p.proowner <> m.extowner THEN coalesce(r.rolname, p.proowner::text) END,
            l.lanname, p.provolatile, p.proisstrict, p.proparallel,
            replace(p.prosupport::text, m.prefix, '@.'),
            replace(pg_get_function_arguments(p.oid), m.prefix, '@.'),
            replace(pg_get_function_result(p.oid), m.prefix, '@.'),
            replace(pg_get_function_sqlbody(p.oid), m.prefix, '@.') --@ >=14
            NULL --@ <14
        ) || coalesce(replace(format(
            ' %s %s %s %s %s %L %L %s %s', g.aggkind, g.aggtransfn, g.aggfinalfn, g.aggcombinefn,
            g.aggtranstype::regtype, g.agginitval, g.aggminitval, g.aggmtransfn, g.aggsortop::regoper
        ), m.prefix, '@.'), '') AS said
    FROM members AS m
    JOIN pg_proc AS p ON p.oid = m.objid
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    LEFT JOIN pg_aggregate AS g ON g.aggfnoid = p.oid
    LEFT JOIN pg_roles AS r ON r.oid = p.proowner
    LEFT JOIN pg_language AS l ON l.oid = p.prolang
    WHERE m.classid = 'pg_proc'::regclass
    UNION ALL
    SELECT
        i.type, NULL::text[], i.identity, m.extname, c.xmin::text,
        replace(concat_ws(
            E'\n',
            format(
                '%s %s %s %s %L %L', c.relkind, c.relpersistence, c.relrowsecurity,
                c.relforcerowsecurity, c.reloptions,
                CASE WHEN c.relowner <> m.extowner THEN coalesce(r.rolname, c.relowner::text) END
            ),
            CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
            (
                SELECT format('%s %s %s %s %s %s', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle)
                FROM pg_sequence AS s WHERE s.seqrelid = c.oid
            ),
            (
                SELECT string_agg(
                    format('%I %s %s %s %L', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated, pg_get_expr(f.adbin, f.adrelid)),
                    E'\n' ORDER BY a.attnum
                )
                FROM pg_attribute AS a
                LEFT JOIN pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'S'
            ),
            (
                SELECT string_agg(format('%I %s', o.conname, pg_get_constraintdef(o.oid)), E'\n' ORDER BY o.conname)
                FROM pg_constraint AS o WHERE o.conrelid = c.oid AND o.contype <> 'n'
            ),
            (
                SELECT string_agg(pg_get_indexdef(i.indexrelid), E'\n' ORDER BY pg_get_indexdef(i.indexrelid))
                FROM pg_index AS i WHERE i.indrelid = c.oid
            ),
            (
                SELECT string_agg(format('%s %s', t.tgenabled, pg_get_triggerdef(t.oid)), E'\n' ORDER BY t.tgname)
                FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
            ),
            (
                SELECT string_agg(format(
                    '%I %s %s %s %L %L', p.polname, p.polcmd, p.polpermissive,
                    ARRAY(SELECT coalesce(x.rolname, u.id::text) FROM unnest(p.polroles) AS u (id) LEFT JOIN pg_roles AS x ON x.oid = u.id ORDER BY 1),
                    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
                ), E'\n' ORDER BY p.polname)
                FROM pg_policy AS p WHERE p.polrelid = c.oid
            ),
            (
                SELECT string_agg(format('%s %s', w.ev_enabled, pg_get_ruledef(w.oid)), E'\n' ORDER BY w.rulename)
                FROM pg_rewrite AS w WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN'
            )
        ), m.prefix, '@.') AS said
    FROM members AS m
    JOIN pg_class AS c ON c.oid = m.objid
    LEFT JOIN pg_roles AS r ON r.oid = c.relowner
    CROSS JOIN LATERAL pg_identify_object(m.classid, m.objid, m.objsubid) AS i
    WHERE m.classid = 'pg_class'::regclass
    UNION ALL
    SELECT
        i.type, NULL::text[], i.identity, m.extname, t.xmin::text,
        replace(concat_ws(
            E'\n',
            format(
                '%s %s %s %s %s %s %L %L %s %s', t.typtype, t.typlen, t.typbyval, t.typalign,
                t.typinput, t.typoutput, t.typdefault,
                CASE WHEN t.typowner <> m.extowner THEN coalesce(r.rolname, t.typowner::text) END,
                CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END, t.typnotnull
            ),
            (
                SELECT string_agg(quote_literal(e.enumlabel), ' ' ORDER BY e.enumsortorder)
                FROM pg_enum AS e WHERE e.enumtypid = t.oid
            ),
            (
                SELECT string_agg(format('%I %s', o.conname, pg_get_constraintdef(o.oid)), E'\n' ORDER BY o.conname)
                FROM pg_constraint AS o WHERE o.contypid = t.oid AND o.contype <> 'n'
            ),
            (
                SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), E'\n' ORDER BY a.attnum)
                FROM pg_attribute AS a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
            )
        ), m.prefix, '@.') AS said
    FROM members AS m
    JOIN pg_type AS t ON t.oid = m.objid
    LEFT JOIN pg_roles AS r ON r.oid = t.typowner
    CROSS JOIN LATERAL pg_identify_object(m.classid, m.objid, m.objsubid) AS i
    WHERE m.classid = 'pg_type'::regclass
        AND NOT EXISTS (SELECT FROM pg_type AS y WHERE y.typarray = t.oid)
        AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
    UNION ALL
    SELECT
        i.type, NULL::text[],
        i.identity, --@ >=14
        CASE i.type WHEN 'transform' THEN regexp_replace(i.identity, ' on (language .*)$', ' \1') ELSE i.identity END, --@ <14
        m.extname, NULL::text,
        replace(CASE m.classid
            WHEN 'pg_operator'::regclass THEN (
                SELECT format('%s %s %s %s', o.oprcode, o.oprrest, o.oprjoin, o.oprresult::regtype)
                FROM pg_operator AS o WHERE o.oid = m.objid
            )
            WHEN 'pg_cast'::regclass THEN (
                SELECT format('%s %s %s', c.castfunc::regprocedure, c.castcontext, c.castmethod)
                FROM pg_cast AS c WHERE c.oid = m.objid
            )
            WHEN 'pg_opclass'::regclass THEN (
                SELECT format('%s %s %s', c.opcdefault, c.opcintype::regtype, c.opckeytype::regtype)
                FROM pg_opclass AS c WHERE c.oid = m.objid
            )
            WHEN 'pg_opfamily'::regclass THEN concat_ws(
                E'\n',
                (
                    SELECT string_agg(x.said, E'\n' ORDER BY x.said COLLATE "C")
                    FROM (
                        SELECT format('%s %s', a.amopstrategy, a.amopopr::regoperator) AS said
                        FROM pg_amop AS a WHERE a.amopfamily = m.objid
                    ) AS x
                ),
                (
                    SELECT string_agg(x.said, E'\n' ORDER BY x.said COLLATE "C")
                    FROM (
                        SELECT format('%s %s %s %s', a.amprocnum, a.amproclefttype::regtype, a.amprocrighttype::regtype, a.amproc::regprocedure) AS said
                        FROM pg_amproc AS a WHERE a.amprocfamily = m.objid
                    ) AS x
                )
            )
            WHEN 'pg_language'::regclass THEN (
                SELECT format('%s %s %s %s', l.lanpltrusted, l.lanplcallfoid::regprocedure, l.laninline::regprocedure, l.lanvalidator::regprocedure)
                FROM pg_language AS l WHERE l.oid = m.objid
            )
            WHEN 'pg_event_trigger'::regclass THEN (
                SELECT format('%s %s %s %s', t.evtevent, t.evtfoid::regprocedure, t.evtenabled, t.evttags)
                FROM pg_event_trigger AS t WHERE t.oid = m.objid
            )
            WHEN 'pg_foreign_data_wrapper'::regclass THEN (
                SELECT format('%s %s', f.fdwhandler::regprocedure, f.fdwvalidator::regprocedure)
                FROM pg_foreign_data_wrapper AS f WHERE f.oid = m.objid
            )
        END, m.prefix, '@.') AS said
    FROM members AS m
    CROSS JOIN LATERAL pg_identify_object(m.classid, m.objid, m.objsubid) AS i
    WHERE m.classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass)
)
SELECT
    s.type AS meta_type,
    s.name,
    s.identity AS meta_identity,
    ARRAY[s.extname]::text[] AS name_extension,
    ARRAY[s.xmin] AS meta_xmin, --@ dated
    'sha256 ' || left(encode(sha256(convert_to(s.said, 'UTF8')), 'hex'), 32) AS digest
FROM said AS s

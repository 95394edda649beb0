-- kind: text_search_dictionary
-- needs: SELECT on pg_ts_dict, pg_ts_template, pg_namespace, pg_roles, pg_depend, pg_description
-- since: 13
-- name: {name}
-- Options are split where the text is as the server writes it, so that their order means nothing.
-- Of the server's own dictionaries, those that are not as initdb makes them: simple has no options,
-- and a stemmer its language, with stop words for the fifteen that PostgreSQL 13 to 18 have a file for.
-- A comment, and that one was dropped, cannot be told.
SELECT
    ARRAY[n.nspname, d.dictname]::text[] AS name,
    ARRAY[d.xmin::text] AS meta_xmin, --@ dated
    ARRAY[coalesce(o.rolname, d.dictowner::text)]::text[] AS owner__id,
    ARRAY[tn.nspname, t.tmplname]::text[] AS template__id,
    CASE WHEN array_to_string(p.pairs, ', ') = d.dictinitoption THEN p.pairs
        ELSE ARRAY[d.dictinitoption] END AS options__set,
    m.description AS comment
FROM pg_ts_dict AS d
JOIN pg_namespace AS n ON n.oid = d.dictnamespace
JOIN pg_ts_template AS t ON t.oid = d.dicttemplate
JOIN pg_namespace AS tn ON tn.oid = t.tmplnamespace
LEFT JOIN pg_roles AS o ON o.oid = d.dictowner
LEFT JOIN pg_description AS m
    ON m.objoid = d.oid AND m.classoid = 'pg_ts_dict'::regclass AND m.objsubid = 0
CROSS JOIN LATERAL (
    SELECT array_agg(r.pair[1]) AS pairs
    FROM regexp_matches(
        d.dictinitoption,
        '((?:"(?:[^"]|"")*"|[^"=, ]+) = (?:E?''(?:[^'']|'''')*''|[^'', ]+))', 'g'
    ) AS r (pair)
) AS p
WHERE (
        d.oid >= 16384 OR d.dictowner <> 10 OR t.oid >= 16384 OR n.nspname <> 'pg_catalog'
        OR CASE WHEN d.dictname = 'simple' THEN d.dictinitoption IS NOT NULL
            ELSE d.dictinitoption IS DISTINCT FROM format(
                CASE WHEN d.dictname IN (
                    'danish_stem', 'dutch_stem', 'english_stem', 'finnish_stem', 'french_stem',
                    'german_stem', 'hungarian_stem', 'italian_stem', 'nepali_stem', 'norwegian_stem',
                    'portuguese_stem', 'russian_stem', 'spanish_stem', 'swedish_stem', 'turkish_stem'
                ) THEN 'language = %1$L, stopwords = %1$L' ELSE 'language = %L' END,
                left(d.dictname, -5)
            )
        END
    )
    AND n.nspname !~ '^pg_(toast_)?temp_[0-9]+$'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS x
        WHERE x.classid = 'pg_ts_dict'::regclass AND x.objid = d.oid AND x.deptype = 'e'
            AND x.refclassid = 'pg_extension'::regclass
    )

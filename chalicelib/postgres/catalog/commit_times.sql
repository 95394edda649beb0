-- needs: track_commit_timestamp = on
SELECT x, pg_xact_commit_timestamp(x::xid)
FROM unnest(%(xmins)s::text[]) AS x

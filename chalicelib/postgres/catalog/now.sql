-- needs: nothing beyond CONNECT
-- What is committed, as this transaction sees it. Two that are equal had nothing committed in between,
-- on a primary: every transaction that writes has an id, and is in one of them and not in the other.
SELECT pg_current_snapshot()::text

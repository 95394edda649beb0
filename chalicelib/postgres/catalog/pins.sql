-- needs: nothing beyond CONNECT
-- Sets what changes the text that the server prints, and what bounds this session. The first
-- column's function calls are qualified: until they have run, the search path is the role's own.
SELECT
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false),
    pg_catalog.set_config('jit', 'off', false),
    pg_catalog.set_config('work_mem', '32MB', false),
    pg_catalog.set_config('TimeZone', 'UTC', false),
    pg_catalog.set_config('DateStyle', 'ISO, YMD', false),
    pg_catalog.set_config('IntervalStyle', 'postgres', false),
    pg_catalog.set_config('extra_float_digits', '1', false),
    pg_catalog.set_config('quote_all_identifiers', 'off', false),
    pg_catalog.set_config('bytea_output', 'hex', false),
    pg_catalog.set_config('standard_conforming_strings', 'on', false),
    pg_catalog.set_config('transform_null_equals', 'off', false),
    pg_catalog.set_config('row_security', 'off', false),
    pg_catalog.set_config('lc_monetary', 'C', false),
    pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),
    pg_catalog.set_config('idle_session_timeout', '0', false), --@ >=14
    pg_catalog.set_config('transaction_timeout', '0', false), --@ >=17
    pg_catalog.set_config('lock_timeout', %(lock)s::pg_catalog.text, false),
    pg_catalog.set_config('statement_timeout', %(statement)s::pg_catalog.text, false)

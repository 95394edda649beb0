-- 2 a.m. Each of these is one statement that somebody, or something, really runs.
ALTER TABLE ml.fraud_features DROP COLUMN refund_rate;
GRANT SELECT ON shop.customers TO PUBLIC;
ALTER TABLE shop.customers DISABLE ROW LEVEL SECURITY;
CREATE OR REPLACE FUNCTION ml.may_retrain(model text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ml, pg_temp
    AS $$ SELECT true $$;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.orders_by_customer'::regclass;

-- A small shop, and the AI model that reads it.
CREATE ROLE shop_owner NOLOGIN;
CREATE ROLE shop_api LOGIN;
CREATE ROLE fraud_model LOGIN;
CREATE ROLE analyst LOGIN;

CREATE SCHEMA shop AUTHORIZATION shop_owner;
CREATE SCHEMA ml AUTHORIZATION shop_owner;
SET ROLE shop_owner;

CREATE TYPE shop.order_state AS ENUM ('placed', 'paid', 'shipped', 'refunded');

CREATE TABLE shop.customers (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text NOT NULL,
    email       text NOT NULL UNIQUE,
    loyalty     numeric(6, 2) NOT NULL DEFAULT 0
);
ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON shop.customers
    USING (tenant = current_setting('shop.tenant', true));

CREATE TABLE shop.orders (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES shop.customers,
    state       shop.order_state NOT NULL DEFAULT 'placed',
    total       numeric(10, 2) NOT NULL CHECK (total >= 0),
    placed_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_by_customer ON shop.orders (customer_id, placed_at DESC);

CREATE VIEW shop.revenue WITH (security_barrier) AS
    SELECT date_trunc('day', placed_at) AS day, sum(total) AS total
    FROM shop.orders WHERE state <> 'refunded' GROUP BY 1;

CREATE TABLE ml.model_config (
    model       text NOT NULL,
    parameter   text NOT NULL,
    value       text NOT NULL,
    PRIMARY KEY (model, parameter)
);
CREATE TABLE ml.fraud_features (
    order_id        bigint PRIMARY KEY REFERENCES shop.orders,
    amount_zscore   double precision,
    account_age     interval,
    refund_rate     double precision
);
INSERT INTO shop.customers (tenant, email, loyalty) VALUES
    ('north', 'ines@example.org', 12.50), ('north', 'jon@example.org', 3.00),
    ('south', 'kim@example.org', 41.25);
INSERT INTO shop.orders (customer_id, total) VALUES (1, 99.90), (1, 12.00), (2, 310.00), (3, 7.50);
INSERT INTO ml.model_config VALUES
    ('fraud', 'learning_rate', '0.001'), ('fraud', 'max_depth', '6');

CREATE FUNCTION ml.may_retrain(model text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ml, pg_temp
    AS $$ SELECT EXISTS (
    SELECT FROM ml.model_config c
    WHERE c.model = may_retrain.model
      AND c.parameter = 'approved_by') $$;
REVOKE EXECUTE ON FUNCTION ml.may_retrain FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ml.may_retrain TO fraud_model;

GRANT USAGE ON SCHEMA shop TO shop_api, analyst, fraud_model;
GRANT USAGE ON SCHEMA ml TO fraud_model;
GRANT SELECT, INSERT, UPDATE ON shop.customers, shop.orders TO shop_api;
GRANT SELECT ON shop.revenue TO analyst;
GRANT SELECT ON shop.orders, ml.model_config TO fraud_model;
GRANT SELECT, INSERT ON ml.fraud_features TO fraud_model;
RESET ROLE;

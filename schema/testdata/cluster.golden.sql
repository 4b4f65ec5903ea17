CREATE TABLE IF NOT EXISTS organizations ON CLUSTER 'meterhouse_test'
(
    id UUID,
    name String,
    tenant String COMMENT 'public name on the Memori routes',
    stripe_customer String,
    stripe_meter String,
    stripe_subscription_item String,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/organizations', '{shard}-{replica}', version)
ORDER BY id
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS users ON CLUSTER 'meterhouse_test'
(
    id UUID,
    name String,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/users', '{shard}-{replica}', version)
ORDER BY id
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS memberships ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    user_id UUID,
    role Enum8('member' = 1, 'admin' = 2, 'superadmin' = 3),
    active Bool DEFAULT true,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/memberships', '{shard}-{replica}', version)
ORDER BY (organization_id, user_id)
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS agents ON CLUSTER 'meterhouse_test'
(
    id UUID,
    organization_id UUID,
    name String,
    owner_id UUID,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/agents', '{shard}-{replica}', version)
ORDER BY id
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS services ON CLUSTER 'meterhouse_test'
(
    name String,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/services', '{shard}-{replica}', version)
ORDER BY name
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS credentials ON CLUSTER 'meterhouse_test'
(
    kind Enum8('agent_secret' = 1, 'login_token' = 2, 'app_password' = 3, 'access_token' = 4),
    secret_sha256 String COMMENT 'lower-case hexadecimal',
    organization_id UUID,
    user_id UUID,
    agent_id UUID,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/credentials', '{shard}-{replica}', version)
ORDER BY (kind, secret_sha256)
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS text_model_costs ON CLUSTER 'meterhouse_test'
(
    id UUID COMMENT 'named after all other columns: a changed price is another rate',
    model String,
    usage_type String,
    provider String,
    provider_usd_per_million Decimal(38, 12),
    billed_usd_per_million Decimal(38, 12),
    effective_from DateTime64(6, 'UTC'),
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/text_model_costs', '{shard}-{replica}', version)
ORDER BY (model, usage_type, effective_from)
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS catalog_changes ON CLUSTER 'meterhouse_test'
(
    version UInt64,
    changed_at DateTime64(6, 'UTC'),
    actor String,
    summary String
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/catalog_changes', '{shard}-{replica}')
ORDER BY version
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS usage_events_local ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    event_id UUID,
    revision UInt32,
    entry Enum8('record' = 1, 'reversal' = -1),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    ingest_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    user_id UUID,
    agent_id UUID,
    service LowCardinality(String),
    channel LowCardinality(String),
    api_name LowCardinality(String),
    endpoint LowCardinality(String),
    provider LowCardinality(String),
    provider_endpoint LowCardinality(String),
    provider_key LowCardinality(String) COMMENT 'obfuscated',
    model LowCardinality(String),
    chargeable Bool,
    purpose LowCardinality(String),
    usage_type LowCardinality(String),
    ordinal UInt8 COMMENT 'position of the measurement in its event, 0 is counted as the event',
    quantity Decimal(38, 6),
    provider_cost Decimal(38, 12),
    billed_cost Decimal(38, 12),
    rate_id UUID,
    pricing Enum8('unpriced' = 0, 'rated' = 1, 'given' = 2),
    node UUID,
    sequence UInt64 COMMENT 'of the event in the log of its node' CODEC(Delta, ZSTD),
    dimension_id UInt64 MATERIALIZED cityHash64(
        service, provider, provider_endpoint, provider_key, model, chargeable, purpose),
    INDEX event_id_filter event_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/usage_events', '{replica}')
PARTITION BY toYYYYMM(event_time)
ORDER BY (organization_id, agent_id, event_time, event_id)
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS usage_events ON CLUSTER 'meterhouse_test' AS usage_events_local
ENGINE = Distributed('meterhouse_test', 'meterhouse', 'usage_events_local', cityHash64(organization_id))

CREATE TABLE IF NOT EXISTS dimensions_local ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    dimension_id UInt64,
    service LowCardinality(String),
    provider LowCardinality(String),
    provider_endpoint LowCardinality(String),
    provider_key LowCardinality(String),
    model LowCardinality(String),
    chargeable Bool,
    purpose LowCardinality(String)
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/dimensions', '{replica}')
ORDER BY (organization_id, dimension_id)
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS dimensions ON CLUSTER 'meterhouse_test' AS dimensions_local
ENGINE = Distributed('meterhouse_test', 'meterhouse', 'dimensions_local', cityHash64(organization_id))

CREATE MATERIALIZED VIEW IF NOT EXISTS dimensions_view ON CLUSTER 'meterhouse_test' TO dimensions_local AS
SELECT
    organization_id,
    dimension_id,
    service,
    provider,
    provider_endpoint,
    provider_key,
    model,
    chargeable,
    purpose
FROM usage_events_local
LIMIT 1 BY
    organization_id,
    dimension_id

CREATE TABLE IF NOT EXISTS agent_usage_15m_local ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    agent_id UUID,
    slot DateTime('UTC') COMMENT 'start of the quarter hour',
    usage_type LowCardinality(String),
    service LowCardinality(String),
    model LowCardinality(String),
    chargeable Bool,
    quantity Decimal(38, 6),
    provider_cost Decimal(38, 12),
    billed_cost Decimal(38, 12),
    events Int64 COMMENT 'counts an event once, at its first measurement',
    measurements Int64,
    unpriced Int64 COMMENT 'measurements without a rate'
)
ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{shard}/{database}/agent_usage_15m', '{replica}', (quantity, provider_cost, billed_cost, events, measurements, unpriced))
PARTITION BY toYYYYMM(slot)
ORDER BY (organization_id, agent_id, slot, usage_type, service, model, chargeable)
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS agent_usage_15m ON CLUSTER 'meterhouse_test' AS agent_usage_15m_local
ENGINE = Distributed('meterhouse_test', 'meterhouse', 'agent_usage_15m_local', cityHash64(organization_id))

CREATE MATERIALIZED VIEW IF NOT EXISTS agent_usage_15m_view ON CLUSTER 'meterhouse_test' TO agent_usage_15m_local AS
SELECT
    organization_id,
    agent_id,
    toStartOfFifteenMinutes(toDateTime(event_time, 'UTC')) AS slot,
    usage_type,
    service,
    model,
    chargeable,
    sum(quantity) AS quantity,
    sum(provider_cost) AS provider_cost,
    sum(billed_cost) AS billed_cost,
    sumIf(toInt64(entry), ordinal = 0) AS events,
    sum(toInt64(entry)) AS measurements,
    sumIf(toInt64(entry), pricing = 'unpriced') AS unpriced
FROM usage_events_local
GROUP BY
    organization_id,
    agent_id,
    slot,
    usage_type,
    service,
    model,
    chargeable

CREATE TABLE IF NOT EXISTS billable_hourly_local ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    hour DateTime('UTC'),
    usage_type LowCardinality(String),
    model LowCardinality(String),
    chargeable Bool,
    quantity Decimal(38, 6),
    provider_cost Decimal(38, 12),
    billed_cost Decimal(38, 12),
    events Int64,
    measurements Int64,
    unpriced Int64
)
ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{shard}/{database}/billable_hourly', '{replica}', (quantity, provider_cost, billed_cost, events, measurements, unpriced))
PARTITION BY toYYYYMM(hour)
ORDER BY (organization_id, hour, usage_type, model, chargeable)
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS billable_hourly ON CLUSTER 'meterhouse_test' AS billable_hourly_local
ENGINE = Distributed('meterhouse_test', 'meterhouse', 'billable_hourly_local', cityHash64(organization_id))

CREATE MATERIALIZED VIEW IF NOT EXISTS billable_hourly_view ON CLUSTER 'meterhouse_test' TO billable_hourly_local AS
SELECT
    organization_id,
    toStartOfHour(slot) AS hour,
    usage_type,
    model,
    chargeable,
    sum(quantity) AS quantity,
    sum(provider_cost) AS provider_cost,
    sum(billed_cost) AS billed_cost,
    sum(events) AS events,
    sum(measurements) AS measurements,
    sum(unpriced) AS unpriced
FROM agent_usage_15m_local
GROUP BY
    organization_id,
    hour,
    usage_type,
    model,
    chargeable

CREATE TABLE IF NOT EXISTS consumption_daily_local ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    agent_id UUID,
    day Date,
    user_id UUID,
    usage_type LowCardinality(String),
    dimension_id UInt64,
    quantity Decimal(38, 6),
    provider_cost Decimal(38, 12),
    billed_cost Decimal(38, 12),
    events Int64,
    measurements Int64,
    unpriced Int64
)
ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{shard}/{database}/consumption_daily', '{replica}', (quantity, provider_cost, billed_cost, events, measurements, unpriced))
PARTITION BY toYYYYMM(day)
ORDER BY (organization_id, agent_id, day, user_id, usage_type, dimension_id)
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS consumption_daily ON CLUSTER 'meterhouse_test' AS consumption_daily_local
ENGINE = Distributed('meterhouse_test', 'meterhouse', 'consumption_daily_local', cityHash64(organization_id))

CREATE MATERIALIZED VIEW IF NOT EXISTS consumption_daily_view ON CLUSTER 'meterhouse_test' TO consumption_daily_local AS
SELECT
    organization_id,
    agent_id,
    toDate(event_time, 'UTC') AS day,
    user_id,
    usage_type,
    dimension_id,
    sum(quantity) AS quantity,
    sum(provider_cost) AS provider_cost,
    sum(billed_cost) AS billed_cost,
    sumIf(toInt64(entry), ordinal = 0) AS events,
    sum(toInt64(entry)) AS measurements,
    sumIf(toInt64(entry), pricing = 'unpriced') AS unpriced
FROM usage_events_local
GROUP BY
    organization_id,
    agent_id,
    day,
    user_id,
    usage_type,
    dimension_id

CREATE TABLE IF NOT EXISTS consumption_monthly_local ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    agent_id UUID,
    month Date COMMENT 'first day of the month',
    user_id UUID,
    usage_type LowCardinality(String),
    dimension_id UInt64,
    quantity Decimal(38, 6),
    provider_cost Decimal(38, 12),
    billed_cost Decimal(38, 12),
    events Int64,
    measurements Int64,
    unpriced Int64
)
ENGINE = ReplicatedSummingMergeTree('/clickhouse/tables/{shard}/{database}/consumption_monthly', '{replica}', (quantity, provider_cost, billed_cost, events, measurements, unpriced))
PARTITION BY toYear(month)
ORDER BY (organization_id, agent_id, month, user_id, usage_type, dimension_id)
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS consumption_monthly ON CLUSTER 'meterhouse_test' AS consumption_monthly_local
ENGINE = Distributed('meterhouse_test', 'meterhouse', 'consumption_monthly_local', cityHash64(organization_id))

CREATE MATERIALIZED VIEW IF NOT EXISTS consumption_monthly_view ON CLUSTER 'meterhouse_test' TO consumption_monthly_local AS
SELECT
    organization_id,
    agent_id,
    toStartOfMonth(day) AS month,
    user_id,
    usage_type,
    dimension_id,
    sum(quantity) AS quantity,
    sum(provider_cost) AS provider_cost,
    sum(billed_cost) AS billed_cost,
    sum(events) AS events,
    sum(measurements) AS measurements,
    sum(unpriced) AS unpriced
FROM consumption_daily_local
GROUP BY
    organization_id,
    agent_id,
    month,
    user_id,
    usage_type,
    dimension_id

ALTER TABLE credentials
    ADD COLUMN IF NOT EXISTS name String AFTER agent_id,
    ADD COLUMN IF NOT EXISTS expires_at DateTime64(6, 'UTC') AFTER name,
    ADD COLUMN IF NOT EXISTS requests_per_minute UInt32 AFTER expires_at

ALTER TABLE users ADD COLUMN IF NOT EXISTS email String AFTER name

CREATE TABLE IF NOT EXISTS corrections ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    number UInt64 COMMENT 'counts an organization''s corrections from 1',
    id UUID COMMENT 'of the try: tells its writer whether it won the number',
    corrected_at DateTime64(6, 'UTC'),
    actor String,
    reason String,
    events UInt32 COMMENT 'that are corrected',
    entries String COMMENT 'the reversals and replacements, encoded as in the log' CODEC(ZSTD)
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/corrections', '{shard}-{replica}')
ORDER BY (organization_id, number)
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS corrections_applied ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    number UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/corrections_applied', '{shard}-{replica}', number)
ORDER BY organization_id
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS catalog_audit ON CLUSTER 'meterhouse_test'
(
    version UInt64 COMMENT 'of the change in catalog_changes',
    ordinal UInt32 COMMENT 'within the change',
    changed_at DateTime64(6, 'UTC'),
    actor String COMMENT 'user:<id> with credential:<id>, or the command that did it',
    organization_id UUID COMMENT 'whose it is, zero for what belongs to none',
    kind LowCardinality(String) COMMENT 'organization, user, membership, agent, …',
    id String COMMENT 'of the thing, as the admin API names it',
    action Enum8('create' = 1, 'change' = 2, 'retire' = 3),
    before String COMMENT 'JSON, empty for what is new',
    after String COMMENT 'JSON, empty for what is retired'
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/catalog_audit', '{shard}-{replica}')
ORDER BY (version, ordinal)
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE VIEW IF NOT EXISTS user_billable_request_logs ON CLUSTER 'meterhouse_test' AS
SELECT
    e.event_id AS id,
    e.user_id AS user_id,
    e.organization_id AS organization_id,
    nullIf(e.agent_id, toUUID('00000000-0000-0000-0000-000000000000')) AS agent_id,
    e.service AS service_name,
    e.model AS model_name,
    sumIf(e.quantity, e.usage_type IN ('INPUT', 'CACHED_INPUT', 'CACHE_WRITE')) AS input_tokens,
    sumIf(e.quantity, e.usage_type IN ('OUTPUT', 'REASONING')) AS output_tokens,
    e.channel AS channel,
    sum(e.provider_cost) AS service_cost,
    sum(e.billed_cost) AS agent700_cost,
    e.event_time AS created_at,
    max(e.revision) AS revision,
    sumIf(toInt64(e.entry), e.pricing = 'unpriced') AS unpriced
FROM usage_events AS e
WHERE e.service != ''
GROUP BY
    e.organization_id,
    e.agent_id,
    e.event_time,
    e.event_id,
    e.user_id,
    e.service,
    e.model,
    e.channel
HAVING sum(toInt64(e.entry)) > 0

CREATE TABLE IF NOT EXISTS event_keys_local ON CLUSTER 'meterhouse_test'
(
    node UUID,
    sequence UInt64 COMMENT 'of the event in the log of its node' CODEC(Delta, ZSTD),
    event_id UUID,
    organization_id UUID,
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    ingest_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/event_keys', '{replica}')
PARTITION BY toMonday(ingest_time, 'UTC')
ORDER BY (node, sequence)
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS event_keys ON CLUSTER 'meterhouse_test' AS event_keys_local
ENGINE = Distributed('meterhouse_test', 'meterhouse', 'event_keys_local', cityHash64(organization_id))

CREATE MATERIALIZED VIEW IF NOT EXISTS event_keys_view ON CLUSTER 'meterhouse_test' TO event_keys_local AS
SELECT
    node,
    sequence,
    event_id,
    organization_id,
    event_time,
    ingest_time
FROM usage_events_local
WHERE revision = 0
  AND entry = 'record'
  AND ordinal = 0
  AND bitAnd(bitShiftRight(toUInt128(event_id), 76), 15) = 5

CREATE TABLE IF NOT EXISTS nodes ON CLUSTER 'meterhouse_test'
(
    node UUID COMMENT 'of the log',
    said_at DateTime64(6, 'UTC'),
    stored UInt64 COMMENT 'sequence up to which the ledger and every rollup have the log',
    pending UInt64 COMMENT 'events of the log that are not stored',
    swept_at DateTime64(6, 'UTC') COMMENT 'what others had stored by then holds no duplicate',
    hold UUID COMMENT 'while it inserts nothing because of it, else zero',
    stopped Bool COMMENT 'it ended in order and has nothing half done'
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/nodes', '{shard}-{replica}', said_at)
ORDER BY node

CREATE TABLE IF NOT EXISTS holds ON CLUSTER 'meterhouse_test'
(
    id UUID COMMENT 'a UUIDv7: of several holds the oldest is kept',
    reason String,
    until DateTime64(6, 'UTC') COMMENT 'by this database''s clock',
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/holds', '{shard}-{replica}', version)
ORDER BY id

CREATE TABLE IF NOT EXISTS retired ON CLUSTER 'meterhouse_test'
(
    month Date COMMENT 'its first day',
    node UUID,
    part UInt64 COMMENT 'the sequences from part * 1000000 on',
    events UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/retired', '{shard}-{replica}')
ORDER BY (month, node, part)
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

ALTER TABLE organizations
    ADD COLUMN IF NOT EXISTS events_per_minute UInt32 AFTER stripe_subscription_item

CREATE OR REPLACE VIEW user_billable_request_logs ON CLUSTER 'meterhouse_test' AS
SELECT
    e.event_id AS id,
    e.user_id AS user_id,
    e.organization_id AS organization_id,
    nullIf(e.agent_id, toUUID('00000000-0000-0000-0000-000000000000')) AS agent_id,
    e.service AS service_name,
    e.model AS model_name,
    sumIf(e.quantity, e.usage_type IN ('INPUT', 'CACHED_INPUT', 'CACHE_WRITE'))
        / greatest(sumIf(toInt64(e.entry), e.ordinal = 0), 1) AS input_tokens,
    sumIf(e.quantity, e.usage_type IN ('OUTPUT', 'REASONING'))
        / greatest(sumIf(toInt64(e.entry), e.ordinal = 0), 1) AS output_tokens,
    e.channel AS channel,
    sum(e.provider_cost)
        / greatest(sumIf(toInt64(e.entry), e.ordinal = 0), 1) AS service_cost,
    sum(e.billed_cost)
        / greatest(sumIf(toInt64(e.entry), e.ordinal = 0), 1) AS agent700_cost,
    e.event_time AS created_at,
    max(e.revision) AS revision,
    intDiv(sumIf(toInt64(e.entry), e.pricing = 'unpriced'),
        greatest(sumIf(toInt64(e.entry), e.ordinal = 0), 1)) AS unpriced
FROM usage_events AS e
WHERE e.service != ''
GROUP BY
    e.organization_id,
    e.agent_id,
    e.event_time,
    e.event_id,
    e.user_id,
    e.service,
    e.model,
    e.channel
HAVING sum(toInt64(e.entry)) > 0

CREATE TABLE IF NOT EXISTS meters ON CLUSTER 'meterhouse_test'
(
    name String COMMENT 'Stripe''s event_name',
    unit Enum8('micro_usd' = 0, 'quantity' = 1),
    usage_types Array(String) COMMENT 'empty: all',
    models Array(String) COMMENT 'names, or beginnings of names before a *, empty: all',
    stripe_id String COMMENT 'mtr_…, empty: looked up by name',
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/meters', '{shard}-{replica}', version)
ORDER BY name
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

ALTER TABLE organizations
    ADD COLUMN IF NOT EXISTS stripe_meters Array(String) AFTER stripe_subscription_item,
    ADD COLUMN IF NOT EXISTS stripe_meter_items Array(String) AFTER stripe_meters,
    ADD COLUMN IF NOT EXISTS stripe_since DateTime('UTC') AFTER stripe_meter_items

CREATE VIEW IF NOT EXISTS metered_hourly ON CLUSTER 'meterhouse_test' AS
SELECT
    u.organization_id AS organization_id,
    u.hour AS hour,
    u.usage_type AS usage_type,
    u.model AS model,
    a.meter AS meter,
    a.unit AS unit,
    u.quantity AS quantity,
    u.provider_cost AS provider_cost,
    u.billed_cost AS billed_cost,
    u.events AS events,
    u.measurements AS measurements,
    u.unpriced AS unpriced
FROM billable_hourly AS u
LEFT ANY JOIN
(
    SELECT
        k.organization_id AS organization_id,
        k.usage_type AS usage_type,
        k.model AS model,
        o.since AS since,
        arrayFirst(c -> NOT c.2 OR has(w.counting, c.1), o.candidates) AS chosen,
        chosen.1 AS meter,
        if(empty(chosen.3), 'micro_usd', chosen.3) AS unit
    FROM
    (
        SELECT DISTINCT
            organization_id,
            toString(usage_type) AS usage_type,
            toString(model) AS model
        FROM billable_hourly
        WHERE chargeable
    ) AS k
    LEFT ANY JOIN
    (
        SELECT
            t.usage_type AS usage_type,
            t.model AS model,
            groupArray(m.name) AS counting
        FROM
        (
            SELECT DISTINCT
                toString(usage_type) AS usage_type,
                toString(model) AS model
            FROM billable_hourly
            WHERE chargeable
        ) AS t
        CROSS JOIN
        (
            SELECT name, usage_types, models
            FROM meters FINAL
            WHERE NOT retired
        ) AS m
        WHERE (empty(m.usage_types) OR has(m.usage_types, t.usage_type))
          AND (
              empty(m.models) OR arrayExists(
                  p -> if(
                      endsWith(p, '*'),
                      startsWith(t.model, substring(p, 1, length(p) - 1)),
                      t.model = p
                  ),
                  m.models
              )
          )
        GROUP BY
            t.usage_type,
            t.model
    ) AS w ON w.usage_type = k.usage_type AND w.model = k.model
    LEFT ANY JOIN
    (
        WITH
            (
                SELECT groupArray((name, toString(unit)))
                FROM meters FINAL
                WHERE NOT retired
            ) AS defined
        SELECT
            id,
            stripe_since AS since,
            arrayMap(
                name -> (
                    name,
                    has(defined.1, name),
                    arrayElement(defined.2, indexOf(defined.1, name))
                ),
                arrayFilter(
                    name -> notEmpty(name) AND notEmpty(stripe_customer),
                    arrayPushBack(stripe_meters, stripe_meter)
                )
            ) AS candidates
        FROM organizations FINAL
    ) AS o ON o.id = k.organization_id
) AS a ON a.organization_id = u.organization_id AND a.usage_type = u.usage_type AND a.model = u.model
WHERE u.chargeable
  AND u.hour >= a.since

CREATE TABLE IF NOT EXISTS report_intents ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    meter LowCardinality(String) COMMENT 'Stripe''s event_name',
    window_start DateTime('UTC') COMMENT 'the slot''s hour',
    revision UInt32 COMMENT 'counts the slot''s from 1',
    mode Enum8('preaggregated' = 1, 'usage_record' = 2, 'raw' = 3),
    total Int64 COMMENT 'units of the slot as of this revision',
    send Int64 COMMENT 'what is sent: the total, in mode raw the difference',
    identifier String COMMENT 'names the revision to Stripe',
    customer String COMMENT 'Stripe''s',
    subscription_item String COMMENT 'Stripe''s, for mode usage_record',
    created_at DateTime64(6, 'UTC'),
    writer UUID,
    batch UInt64 COMMENT 'counts the batches from 1',
    batch_id UUID COMMENT 'of the try: tells its writer whether it won the number',
    PROJECTION newest (SELECT max(batch)),
    PROJECTION batches (SELECT batch, max(batch_id) GROUP BY batch),
    PROJECTION firsts (
        SELECT organization_id, meter, min(window_start)
        GROUP BY organization_id, meter
    )
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/report_intents', '{shard}-{replica}')
ORDER BY (organization_id, meter, window_start, revision)
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS report_outcomes ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    meter LowCardinality(String),
    window_start DateTime('UTC'),
    revision UInt32,
    verdict Enum8(
        'unknown' = 1, 'retry' = 2, 'rotate' = 3,
        'abandoned' = 10, 'rejected' = 11, 'conflict' = 12,
        'accepted' = 20, 'duplicate' = 21, 'settled' = 22,
        'refused' = 30, 'differs' = 31
    ),
    key_generation UInt16 COMMENT 'of the idempotency key that was used',
    at DateTime64(6, 'UTC'),
    writer UUID,
    http_status UInt16 COMMENT '0: there was no answer',
    request_id String COMMENT 'Stripe''s',
    detail String COMMENT 'what was said, without secrets'
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/report_outcomes', '{shard}-{replica}')
PARTITION BY toYYYYMM(window_start)
ORDER BY (organization_id, meter, window_start, revision, at)
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE VIEW IF NOT EXISTS report_revisions ON CLUSTER 'meterhouse_test' AS
SELECT
    organization_id,
    meter,
    window_start,
    revision,
    argMinIf(intent, (intended, written_by), side = 'intent') AS frozen,
    minIf(intended, side = 'intent') AS created_at,
    max(said) AS verdict,
    countIf(side = 'outcome' AND said < 30) AS attempts,
    countIf(said = 3) AS rotations,
    maxIf(said_at, side = 'outcome') AS last_at,
    countIf(side = 'intent') AS intents
FROM
(
    SELECT
        'intent' AS side,
        organization_id,
        meter,
        window_start,
        revision,
        CAST((toInt8(mode), total, send, identifier, customer, subscription_item, writer),
            'Tuple(mode Int8, total Int64, send Int64, identifier String,
                customer String, subscription_item String, writer UUID)') AS intent,
        report_intents.created_at AS intended,
        batch_id AS written_by,
        toInt8(0) AS said,
        toDateTime64(0, 6, 'UTC') AS said_at
    FROM report_intents
    UNION ALL
    SELECT
        'outcome' AS side,
        organization_id,
        meter,
        window_start,
        revision,
        CAST((0, 0, 0, '', '', '', toUUID('00000000-0000-0000-0000-000000000000')),
            'Tuple(mode Int8, total Int64, send Int64, identifier String,
                customer String, subscription_item String, writer UUID)') AS intent,
        toDateTime64(0, 6, 'UTC') AS intended,
        toUUID('00000000-0000-0000-0000-000000000000') AS written_by,
        toInt8(report_outcomes.verdict) AS said,
        at AS said_at
    FROM report_outcomes
)
GROUP BY
    organization_id,
    meter,
    window_start,
    revision

CREATE TABLE IF NOT EXISTS report_carries ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    meter LowCardinality(String),
    from_window DateTime('UTC') COMMENT 'the hour, or the start of the closed period',
    number UInt32 COMMENT 'counts those of from_window from 1',
    id UUID COMMENT 'of the try: tells its writer whether it won the number',
    to_window DateTime('UTC') COMMENT 'the slot that takes it',
    units Int64 COMMENT 'may be negative',
    reason String,
    created_at DateTime64(6, 'UTC'),
    writer UUID
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/report_carries', '{shard}-{replica}')
ORDER BY (organization_id, meter, from_window, number)
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS stripe_periods ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    meter LowCardinality(String),
    period_start DateTime('UTC'),
    period_end DateTime('UTC'),
    finalized Bool,
    invoice_id String,
    invoiced_units Int64 COMMENT 'of the invoice''s line, 0 until it is finalized',
    seen_at DateTime64(6, 'UTC')
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/stripe_periods', '{shard}-{replica}', finalized)
ORDER BY (organization_id, meter, period_start)
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS stripe_comparisons ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    meter LowCardinality(String),
    from_time DateTime('UTC'),
    to_time DateTime('UTC'),
    ledger_units Int64 COMMENT 'that are billable',
    reported_units Int64 COMMENT 'that Stripe accepted',
    stripe_units Int64 COMMENT 'that Stripe says it has',
    repaired UInt32 COMMENT 'slots that will be sent again because of it',
    at DateTime64(6, 'UTC'),
    run UUID
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/stripe_comparisons', '{shard}-{replica}')
PARTITION BY toYYYYMM(at)
ORDER BY (organization_id, meter, at, from_time)
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS stripe_webhooks ON CLUSTER 'meterhouse_test'
(
    id String COMMENT 'Stripe''s: evt_…',
    type LowCardinality(String),
    received_at DateTime64(6, 'UTC'),
    done Bool,
    done_at DateTime64(6, 'UTC'),
    detail String COMMENT 'what came of it',
    body String COMMENT 'as it was signed, empty when it is dealt with' CODEC(ZSTD)
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/stripe_webhooks', '{shard}-{replica}', done)
ORDER BY id
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS report_runs ON CLUSTER 'meterhouse_test'
(
    id UUID,
    writer UUID,
    started_at DateTime64(6, 'UTC'),
    ended_at DateTime64(6, 'UTC'),
    slots UInt64 COMMENT 'that had something to be told',
    sent UInt64 COMMENT 'revisions that Stripe has since',
    failed UInt64 COMMENT 'slots that are left for another pass',
    ended Enum8('done' = 1, 'limited' = 2, 'unreachable' = 3, 'halted' = 4, 'failed' = 5),
    not_before DateTime64(6, 'UTC') COMMENT 'of the next calls, the epoch: at once',
    detail String
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/report_runs', '{shard}-{replica}')
PARTITION BY toYYYYMM(ended_at)
ORDER BY ended_at
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS report_leases ON CLUSTER 'meterhouse_test'
(
    name String COMMENT 'of the work and its time',
    holder UUID,
    at DateTime('UTC') COMMENT 'the holder''s clock',
    kept_from DateTime('UTC') DEFAULT now()
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/report_leases', '{shard}-{replica}')
ORDER BY name
TTL kept_from + INTERVAL 1 DAY
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800

CREATE VIEW IF NOT EXISTS metered_slots ON CLUSTER 'meterhouse_test' AS
SELECT
    organization_id,
    meter,
    hour AS window_start,
    any(unit) AS slot_unit,
    toInt64(roundBankers(if(
        slot_unit = 'quantity',
        toDecimal128(
            greatest(
                least(sum(quantity), toDecimal128('1000000000000000000', 6)),
                toDecimal128('-1000000000000000000', 6)
            ),
            12
        ),
        greatest(
            least(sum(billed_cost), toDecimal128('1000000000000', 12)),
            toDecimal128('-1000000000000', 12)
        ) * 1000000
    ))) AS units,
    sum(events) AS slot_events,
    sum(unpriced) AS slot_unpriced,
    sum(billed_cost) AS slot_cost
FROM metered_hourly
GROUP BY
    organization_id,
    meter,
    hour

CREATE VIEW IF NOT EXISTS report_slots ON CLUSTER 'meterhouse_test' AS
SELECT
    organization_id,
    meter,
    window_start,
    max(revision) AS latest,
    argMax(state, revision) AS latest_state,
    argMax(way, revision) AS latest_mode,
    argMaxIf(slot_total, revision, state >= 20 AND state < 30) AS set_units,
    argMaxIf(slot_total, revision, state >= 20 AND state < 30 AND way != 3)
        + sumIf(sent_units, state >= 20 AND state < 30 AND way = 3) AS added_units,
    maxIf(revision, state < 10 OR state >= 20 AND state < 30) AS newest_kept,
    groupArrayIf(revision, state IN (11, 12) OR state >= 30) AS failed,
    maxIf(heard_at, state IN (11, 12) OR state >= 30) AS failed_at,
    max(heard_at) AS said_at,
    groupArrayIf((revision, way, state, tries, turns, intended, heard_at), state < 10) AS open,
    countIf(state = 12) AS conflicts
FROM
(
    SELECT
        organization_id,
        meter,
        window_start,
        revision,
        argMin(total, made_at) AS slot_total,
        argMin(send, made_at) AS sent_units,
        argMin(how, made_at) AS way,
        min(made_at) AS intended,
        max(said) AS state,
        sum(tried) AS tries,
        sum(turned) AS turns,
        max(told_at) AS heard_at
    FROM
    (
        SELECT
            organization_id,
            meter,
            window_start,
            revision,
            total,
            send,
            toInt8(mode) AS how,
            toUnixTimestamp64Micro(created_at) AS made_at,
            toInt8(0) AS said,
            toUInt8(0) AS tried,
            toUInt8(0) AS turned,
            toInt64(0) AS told_at
        FROM report_intents
        UNION ALL
        SELECT
            organization_id,
            meter,
            window_start,
            revision,
            toInt64(0) AS total,
            toInt64(0) AS send,
            toInt8(0) AS how,
            toInt64(9223372036854775807) AS made_at,
            toInt8(verdict) AS said,
            toUInt8(verdict < 30) AS tried,
            toUInt8(verdict = 3) AS turned,
            toUnixTimestamp64Micro(at) AS told_at
        FROM report_outcomes
    )
    GROUP BY
        organization_id,
        meter,
        window_start,
        revision
)
GROUP BY
    organization_id,
    meter,
    window_start

CREATE VIEW IF NOT EXISTS reported_slots ON CLUSTER 'meterhouse_test' AS
SELECT
    organization_id,
    meter,
    window_start,
    sum(own_units) AS own,
    sum(in_units) AS carried,
    sum(out_units) AS carried_out,
    sum(lacking) AS unpriced,
    sum(happened) AS events,
    toUInt32(sum(newest)) AS latest,
    toInt8(sum(newest_state)) AS latest_state,
    toInt8(sum(newest_mode)) AS latest_mode,
    sum(told_set) AS set_units,
    sum(told_added) AS added_units,
    toUInt32(sum(failed_times)) AS failures,
    sum(failed_last) AS failed_at,
    sum(said_last) AS said_at,
    sum(conflicting) AS conflicts,
    groupArrayArray(opened) AS open
FROM
(
    SELECT
        organization_id,
        toString(metered_slots.meter) AS meter,
        window_start,
        units AS own_units,
        0 AS in_units,
        0 AS out_units,
        slot_unpriced AS lacking,
        slot_events AS happened,
        0 AS newest,
        0 AS newest_state,
        0 AS newest_mode,
        0 AS told_set,
        0 AS told_added,
        0 AS failed_times,
        0 AS failed_last,
        0 AS said_last,
        0 AS conflicting,
        [] AS opened
    FROM metered_slots
    UNION ALL
    SELECT
        organization_id,
        toString(report_carries.meter) AS meter,
        to_window AS window_start,
        0 AS own_units,
        units AS in_units,
        0 AS out_units,
        0 AS lacking,
        0 AS happened,
        0 AS newest,
        0 AS newest_state,
        0 AS newest_mode,
        0 AS told_set,
        0 AS told_added,
        0 AS failed_times,
        0 AS failed_last,
        0 AS said_last,
        0 AS conflicting,
        [] AS opened
    FROM report_carries
    UNION ALL
    SELECT
        organization_id,
        toString(report_carries.meter) AS meter,
        toStartOfHour(from_window) AS window_start,
        0 AS own_units,
        0 AS in_units,
        units AS out_units,
        0 AS lacking,
        0 AS happened,
        0 AS newest,
        0 AS newest_state,
        0 AS newest_mode,
        0 AS told_set,
        0 AS told_added,
        0 AS failed_times,
        0 AS failed_last,
        0 AS said_last,
        0 AS conflicting,
        [] AS opened
    FROM report_carries
    UNION ALL
    SELECT
        organization_id,
        toString(report_slots.meter) AS meter,
        window_start,
        0 AS own_units,
        0 AS in_units,
        0 AS out_units,
        0 AS lacking,
        0 AS happened,
        report_slots.latest AS newest,
        report_slots.latest_state AS newest_state,
        report_slots.latest_mode AS newest_mode,
        report_slots.set_units AS told_set,
        report_slots.added_units AS told_added,
        arrayCount(r -> r > newest_kept, failed) AS failed_times,
        report_slots.failed_at AS failed_last,
        report_slots.said_at AS said_last,
        report_slots.conflicts AS conflicting,
        report_slots.open AS opened
    FROM report_slots
)
GROUP BY
    organization_id,
    meter,
    window_start

CREATE TABLE IF NOT EXISTS event_places_local ON CLUSTER 'meterhouse_test'
(
    key UInt32 COMMENT 'of (organization, event)' CODEC(Delta, ZSTD),
    event_time DateTime64(6, 'UTC'),
    agent_id UUID
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/event_places', '{replica}')
PARTITION BY toYear(event_time)
ORDER BY (key, event_time, agent_id)
SETTINGS
    index_granularity = 1024,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS event_places ON CLUSTER 'meterhouse_test' AS event_places_local
ENGINE = Distributed('meterhouse_test', 'meterhouse', 'event_places_local')

CREATE MATERIALIZED VIEW IF NOT EXISTS event_places_view ON CLUSTER 'meterhouse_test' TO event_places_local AS
SELECT
    toUInt32(cityHash64(organization_id, event_id)) AS key,
    event_time,
    agent_id
FROM usage_events_local
WHERE ordinal = 0

CREATE TABLE IF NOT EXISTS exports ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    id UUID,
    version UInt64,
    writer UUID COMMENT 'of this version: tells a writer whether it has it',
    requested_by UUID,
    user_id UUID COMMENT 'whose usage, zero: everybody''s',
    request String COMMENT 'what is asked, JSON',
    bounds Array(DateTime64(6, 'UTC')) COMMENT 'the parts are between them',
    state Enum8(
        'queued' = 1, 'running' = 2, 'done' = 3, 'failed' = 4, 'canceled' = 5, 'expired' = 6),
    detail String COMMENT 'of a failed one: why',
    created_at DateTime64(6, 'UTC'),
    ended_at DateTime64(6, 'UTC') COMMENT 'the epoch: not yet',
    expires_at DateTime64(6, 'UTC') COMMENT 'of the files, the epoch: none yet',
    node UUID COMMENT 'that makes it or made it, zero: none yet',
    lease_until DateTime64(6, 'UTC') COMMENT 'another node may take it then',
    attempt UInt32 COMMENT 'files of earlier ones are on other nodes',
    kept_from DateTime('UTC') DEFAULT now()
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/exports', '{shard}-{replica}', version)
ORDER BY (organization_id, id)
TTL kept_from + INTERVAL 30 DAY
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS export_parts ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    export_id UUID,
    attempt UInt32,
    part UInt32 COMMENT 'from 0',
    name String COMMENT 'of the file or object',
    rows UInt64,
    bytes UInt64,
    sha256 String COMMENT 'lower-case hexadecimal, empty: the engine wrote it',
    noted_at DateTime64(6, 'UTC'),
    kept_from DateTime('UTC') DEFAULT now()
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/export_parts', '{shard}-{replica}', noted_at)
ORDER BY (organization_id, export_id, attempt, part)
TTL kept_from + INTERVAL 30 DAY
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE VIEW IF NOT EXISTS usage_hourly ON CLUSTER 'meterhouse_test'
SQL SECURITY INVOKER
AS SELECT
    u.organization_id AS organization_id,
    u.hour AS hour,
    u.usage_type AS usage_type,
    u.model AS model,
    u.chargeable AS chargeable,
    sum(u.quantity) AS quantity,
    sum(u.provider_cost) AS provider_cost,
    sum(u.billed_cost) AS billed_cost,
    sum(u.events) AS events,
    sum(u.measurements) AS measurements,
    sum(u.unpriced) AS unpriced
FROM billable_hourly AS u
GROUP BY
    u.organization_id,
    u.hour,
    u.usage_type,
    u.model,
    u.chargeable
HAVING measurements != 0 OR quantity != 0 OR billed_cost != 0 OR provider_cost != 0

CREATE VIEW IF NOT EXISTS usage_daily ON CLUSTER 'meterhouse_test'
SQL SECURITY INVOKER
AS SELECT
    u.organization_id AS organization_id,
    u.agent_id AS agent_id,
    u.day AS day,
    u.user_id AS user_id,
    u.usage_type AS usage_type,
    d.service AS service,
    d.provider AS provider,
    d.provider_endpoint AS provider_endpoint,
    d.provider_key AS provider_key,
    d.model AS model,
    d.chargeable AS chargeable,
    d.purpose AS purpose,
    u.quantity_sum AS quantity,
    u.provider_sum AS provider_cost,
    u.billed_sum AS billed_cost,
    u.events_sum AS events,
    u.measurements_sum AS measurements,
    u.unpriced_sum AS unpriced
FROM
(
    SELECT
        organization_id,
        agent_id,
        day,
        user_id,
        usage_type,
        dimension_id,
        sum(quantity) AS quantity_sum,
        sum(provider_cost) AS provider_sum,
        sum(billed_cost) AS billed_sum,
        sum(events) AS events_sum,
        sum(measurements) AS measurements_sum,
        sum(unpriced) AS unpriced_sum
    FROM consumption_daily
    GROUP BY
        organization_id,
        agent_id,
        day,
        user_id,
        usage_type,
        dimension_id
    HAVING measurements_sum != 0 OR quantity_sum != 0 OR billed_sum != 0 OR provider_sum != 0
) AS u
LEFT ANY JOIN dimensions AS d
    ON d.organization_id = u.organization_id AND d.dimension_id = u.dimension_id

CREATE VIEW IF NOT EXISTS current_usage ON CLUSTER 'meterhouse_test'
SQL SECURITY INVOKER
AS SELECT
    e.organization_id AS organization_id,
    e.agent_id AS agent_id,
    e.event_time AS event_time,
    e.event_id AS event_id,
    e.revision AS revision,
    e.ordinal AS ordinal,
    e.user_id AS user_id,
    e.service AS service,
    e.channel AS channel,
    e.api_name AS api_name,
    e.endpoint AS endpoint,
    e.provider AS provider,
    e.provider_endpoint AS provider_endpoint,
    e.model AS model,
    e.chargeable AS chargeable,
    e.purpose AS purpose,
    e.usage_type AS usage_type,
    anyIf(e.quantity, e.entry = 'record') AS quantity,
    anyIf(e.provider_cost, e.entry = 'record') AS provider_cost,
    anyIf(e.billed_cost, e.entry = 'record') AS billed_cost,
    anyIf(e.pricing, e.entry = 'record') AS pricing,
    anyIf(e.rate_id, e.entry = 'record') AS rate_id,
    minIf(e.ingest_time, e.entry = 'record') AS ingest_time
FROM usage_events AS e
GROUP BY
    e.organization_id,
    e.agent_id,
    e.event_time,
    e.event_id,
    e.revision,
    e.ordinal,
    e.user_id,
    e.service,
    e.channel,
    e.api_name,
    e.endpoint,
    e.provider,
    e.provider_endpoint,
    e.model,
    e.chargeable,
    e.purpose,
    e.usage_type
HAVING sum(toInt64(e.entry)) > 0

CREATE TABLE IF NOT EXISTS erasures ON CLUSTER 'meterhouse_test'
(
    id UUID,
    organization_id UUID,
    subject String COMMENT 'SHA-256 of organization and user, lower-case hexadecimal',
    user_id UUID COMMENT 'while it is under way, then zero',
    replacement_id UUID,
    requested_at DateTime64(6, 'UTC'),
    done_at DateTime64(6, 'UTC') COMMENT 'the epoch: it is under way',
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/erasures', '{shard}-{replica}', version)
ORDER BY id
TTL toDateTime(done_at, 'UTC') + INTERVAL 35 DAY DELETE WHERE done_at > toDateTime64(0, 6, 'UTC')
SETTINGS
    replicated_deduplication_window = 1000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

ALTER TABLE organizations
    ADD COLUMN IF NOT EXISTS retention_days UInt32 AFTER events_per_minute

CREATE TABLE IF NOT EXISTS retired_months ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    month Date COMMENT 'its first day',
    done Bool,
    at DateTime64(6, 'UTC'),
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/retired_months', '{shard}-{replica}', version)
ORDER BY (organization_id, month)
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS retired_sequences ON CLUSTER 'meterhouse_test'
(
    organization_id UUID,
    month Date COMMENT 'its first day',
    node UUID,
    part UInt64 COMMENT 'the sequences from part * 1000000 on',
    sequences AggregateFunction(groupBitmap, UInt32) COMMENT 'less part * 1000000'
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/all/{database}/retired_sequences', '{shard}-{replica}')
ORDER BY (organization_id, month, node, part)
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

ALTER TABLE usage_events_local ON CLUSTER 'meterhouse_test' MODIFY SETTING
    min_age_to_force_merge_seconds = 86400,
    min_age_to_force_merge_on_partition_only = 1

ALTER TABLE agent_usage_15m_local ON CLUSTER 'meterhouse_test' MODIFY SETTING
    min_age_to_force_merge_seconds = 86400,
    min_age_to_force_merge_on_partition_only = 1

ALTER TABLE billable_hourly_local ON CLUSTER 'meterhouse_test' MODIFY SETTING
    min_age_to_force_merge_seconds = 86400,
    min_age_to_force_merge_on_partition_only = 1

ALTER TABLE consumption_daily_local ON CLUSTER 'meterhouse_test' MODIFY SETTING
    min_age_to_force_merge_seconds = 86400,
    min_age_to_force_merge_on_partition_only = 1

ALTER TABLE consumption_monthly_local ON CLUSTER 'meterhouse_test' MODIFY SETTING
    min_age_to_force_merge_seconds = 86400,
    min_age_to_force_merge_on_partition_only = 1

CREATE TABLE IF NOT EXISTS console_keys ON CLUSTER 'meterhouse_test'
(
    id UUID,
    secret String COMMENT '32 bytes of AES-256-GCM',
    created_at DateTime64(6, 'UTC')
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/console_keys', '{shard}-{replica}')
ORDER BY (created_at, id)
TTL toDateTime(created_at) + INTERVAL 91 DAY
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS restores ON CLUSTER 'meterhouse_test'
(
    ledger UUID COMMENT 'of the table usage_events',
    restored_at DateTime64(6, 'UTC'),
    reports_at DateTime64(6, 'UTC') COMMENT 'when reports were let go on, the epoch: they wait',
    version UInt64
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/restores', '{shard}-{replica}', version)
ORDER BY ledger
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE TABLE IF NOT EXISTS restored_nodes ON CLUSTER 'meterhouse_test'
(
    ledger UUID COMMENT 'of the table usage_events, as of restores',
    node UUID,
    first UInt64 COMMENT 'sequence of the first that is lost',
    last UInt64 COMMENT 'of the last, before first where none is',
    said_at DateTime64(6, 'UTC')
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/restored_nodes', '{shard}-{replica}', said_at)
ORDER BY (ledger, node)
SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1, fsync_part_directory = 1

CREATE OR REPLACE VIEW metered_hourly ON CLUSTER 'meterhouse_test' AS
SELECT
    u.organization_id AS organization_id,
    u.hour AS hour,
    u.usage_type AS usage_type,
    u.model AS model,
    a.meter AS meter,
    a.unit AS unit,
    u.quantity AS quantity,
    u.provider_cost AS provider_cost,
    u.billed_cost AS billed_cost,
    u.events AS events,
    u.measurements AS measurements,
    u.unpriced AS unpriced
FROM billable_hourly AS u
LEFT ANY JOIN
(
    SELECT
        k.organization_id AS organization_id,
        k.usage_type AS usage_type,
        k.model AS model,
        o.since AS since,
        arrayFirst(c -> NOT c.2 OR has(w.counting, c.1), o.candidates) AS chosen,
        chosen.1 AS meter,
        if(empty(chosen.3), 'micro_usd', chosen.3) AS unit
    FROM
    (
        SELECT DISTINCT
            organization_id,
            toString(usage_type) AS usage_type,
            toString(model) AS model
        FROM billable_hourly
        WHERE chargeable
    ) AS k
    LEFT ANY JOIN
    (
        SELECT
            t.usage_type AS usage_type,
            t.model AS model,
            groupArray(m.name) AS counting
        FROM
        (
            SELECT DISTINCT
                toString(usage_type) AS usage_type,
                toString(model) AS model
            FROM billable_hourly
            WHERE chargeable
        ) AS t
        CROSS JOIN
        (
            SELECT name, usage_types, models
            FROM meters FINAL
        ) AS m
        WHERE (empty(m.usage_types) OR has(m.usage_types, t.usage_type))
          AND (
              empty(m.models) OR arrayExists(
                  p -> if(
                      endsWith(p, '*'),
                      startsWith(t.model, substring(p, 1, length(p) - 1)),
                      t.model = p
                  ),
                  m.models
              )
          )
        GROUP BY
            t.usage_type,
            t.model
    ) AS w ON w.usage_type = k.usage_type AND w.model = k.model
    LEFT ANY JOIN
    (
        WITH
            (
                SELECT groupArray((name, toString(unit)))
                FROM meters FINAL
                WHERE NOT retired
            ) AS defined,
            (
                SELECT groupArray((name, toString(unit)))
                FROM meters FINAL
            ) AS remembered
        SELECT
            id,
            stripe_since AS since,
            if(retired, remembered, defined) AS mine,
            arrayMap(
                name -> (
                    name,
                    has(mine.1, name),
                    arrayElement(mine.2, indexOf(mine.1, name))
                ),
                arrayFilter(
                    name -> notEmpty(name) AND notEmpty(stripe_customer),
                    arrayPushBack(stripe_meters, stripe_meter)
                )
            ) AS candidates
        FROM organizations FINAL
    ) AS o ON o.id = k.organization_id
) AS a ON a.organization_id = u.organization_id AND a.usage_type = u.usage_type AND a.model = u.model
WHERE u.chargeable
  AND u.hour >= a.since

ALTER TABLE stripe_comparisons
    ADD COLUMN IF NOT EXISTS part Bool COMMENT 'of a longer range' AFTER run

CREATE TABLE IF NOT EXISTS stripe_accounts ON CLUSTER 'meterhouse_test'
(
    number UInt64 COMMENT 'counts the accounts from 1',
    live Bool COMMENT 'false: a test account, or a sandbox',
    account String COMMENT 'acct_…, empty: the key may not ask',
    at DateTime64(6, 'UTC'),
    writer UUID
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/stripe_accounts', '{shard}-{replica}')
ORDER BY number
SETTINGS
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    min_compressed_bytes_to_fsync_after_fetch = 1,
    fsync_part_directory = 1

CREATE TABLE agent_usage_15m
(
    `organization_id` UUID,
    `agent_id` UUID,
    `slot` DateTime('UTC') COMMENT 'start of the quarter hour',
    `usage_type` LowCardinality(String),
    `service` LowCardinality(String),
    `model` LowCardinality(String),
    `chargeable` Bool,
    `quantity` Decimal(38, 6),
    `provider_cost` Decimal(38, 12),
    `billed_cost` Decimal(38, 12),
    `events` Int64 COMMENT 'counts an event once, at its first measurement',
    `measurements` Int64,
    `unpriced` Int64 COMMENT 'measurements without a rate'
)
ENGINE = SummingMergeTree((quantity, provider_cost, billed_cost, events, measurements, unpriced))
PARTITION BY toYYYYMM(slot)
ORDER BY (organization_id, agent_id, slot, usage_type, service, model, chargeable)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE MATERIALIZED VIEW agent_usage_15m_view TO agent_usage_15m
(
    `organization_id` UUID,
    `agent_id` UUID,
    `slot` DateTime('UTC'),
    `usage_type` LowCardinality(String),
    `service` LowCardinality(String),
    `model` LowCardinality(String),
    `chargeable` Bool,
    `quantity` Decimal(38, 6),
    `provider_cost` Decimal(38, 12),
    `billed_cost` Decimal(38, 12),
    `events` Int64,
    `measurements` Int64,
    `unpriced` Int64
)
AS SELECT
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
FROM usage_events
GROUP BY
    organization_id,
    agent_id,
    slot,
    usage_type,
    service,
    model,
    chargeable

CREATE TABLE agents
(
    `id` UUID,
    `organization_id` UUID,
    `name` String,
    `owner_id` UUID,
    `retired` Bool DEFAULT false,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE TABLE billable_hourly
(
    `organization_id` UUID,
    `hour` DateTime('UTC'),
    `usage_type` LowCardinality(String),
    `model` LowCardinality(String),
    `chargeable` Bool,
    `quantity` Decimal(38, 6),
    `provider_cost` Decimal(38, 12),
    `billed_cost` Decimal(38, 12),
    `events` Int64,
    `measurements` Int64,
    `unpriced` Int64
)
ENGINE = SummingMergeTree((quantity, provider_cost, billed_cost, events, measurements, unpriced))
PARTITION BY toYYYYMM(hour)
ORDER BY (organization_id, hour, usage_type, model, chargeable)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE MATERIALIZED VIEW billable_hourly_view TO billable_hourly
(
    `organization_id` UUID,
    `hour` DateTime('UTC'),
    `usage_type` LowCardinality(String),
    `model` LowCardinality(String),
    `chargeable` Bool,
    `quantity` Decimal(38, 6),
    `provider_cost` Decimal(38, 12),
    `billed_cost` Decimal(38, 12),
    `events` Int64,
    `measurements` Int64,
    `unpriced` Int64
)
AS SELECT
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
FROM agent_usage_15m
GROUP BY
    organization_id,
    hour,
    usage_type,
    model,
    chargeable

CREATE TABLE catalog_audit
(
    `version` UInt64 COMMENT 'of the change in catalog_changes',
    `ordinal` UInt32 COMMENT 'within the change',
    `changed_at` DateTime64(6, 'UTC'),
    `actor` String COMMENT 'user:<id> with credential:<id>, or the command that did it',
    `organization_id` UUID COMMENT 'whose it is, zero for what belongs to none',
    `kind` LowCardinality(String) COMMENT 'organization, user, membership, agent, …',
    `id` String COMMENT 'of the thing, as the admin API names it',
    `action` Enum8('create' = 1, 'change' = 2, 'retire' = 3),
    `before` String COMMENT 'JSON, empty for what is new',
    `after` String COMMENT 'JSON, empty for what is retired'
)
ENGINE = MergeTree
ORDER BY (version, ordinal)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE TABLE catalog_changes
(
    `version` UInt64,
    `changed_at` DateTime64(6, 'UTC'),
    `actor` String,
    `summary` String
)
ENGINE = MergeTree
ORDER BY version
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE TABLE consumption_daily
(
    `organization_id` UUID,
    `agent_id` UUID,
    `day` Date,
    `user_id` UUID,
    `usage_type` LowCardinality(String),
    `dimension_id` UInt64,
    `quantity` Decimal(38, 6),
    `provider_cost` Decimal(38, 12),
    `billed_cost` Decimal(38, 12),
    `events` Int64,
    `measurements` Int64,
    `unpriced` Int64
)
ENGINE = SummingMergeTree((quantity, provider_cost, billed_cost, events, measurements, unpriced))
PARTITION BY toYYYYMM(day)
ORDER BY (organization_id, agent_id, day, user_id, usage_type, dimension_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE MATERIALIZED VIEW consumption_daily_view TO consumption_daily
(
    `organization_id` UUID,
    `agent_id` UUID,
    `day` Date,
    `user_id` UUID,
    `usage_type` LowCardinality(String),
    `dimension_id` UInt64,
    `quantity` Decimal(38, 6),
    `provider_cost` Decimal(38, 12),
    `billed_cost` Decimal(38, 12),
    `events` Int64,
    `measurements` Int64,
    `unpriced` Int64
)
AS SELECT
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
FROM usage_events
GROUP BY
    organization_id,
    agent_id,
    day,
    user_id,
    usage_type,
    dimension_id

CREATE TABLE consumption_monthly
(
    `organization_id` UUID,
    `agent_id` UUID,
    `month` Date COMMENT 'first day of the month',
    `user_id` UUID,
    `usage_type` LowCardinality(String),
    `dimension_id` UInt64,
    `quantity` Decimal(38, 6),
    `provider_cost` Decimal(38, 12),
    `billed_cost` Decimal(38, 12),
    `events` Int64,
    `measurements` Int64,
    `unpriced` Int64
)
ENGINE = SummingMergeTree((quantity, provider_cost, billed_cost, events, measurements, unpriced))
PARTITION BY toYear(month)
ORDER BY (organization_id, agent_id, month, user_id, usage_type, dimension_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE MATERIALIZED VIEW consumption_monthly_view TO consumption_monthly
(
    `organization_id` UUID,
    `agent_id` UUID,
    `month` Date,
    `user_id` UUID,
    `usage_type` LowCardinality(String),
    `dimension_id` UInt64,
    `quantity` Decimal(38, 6),
    `provider_cost` Decimal(38, 12),
    `billed_cost` Decimal(38, 12),
    `events` Int64,
    `measurements` Int64,
    `unpriced` Int64
)
AS SELECT
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
FROM consumption_daily
GROUP BY
    organization_id,
    agent_id,
    month,
    user_id,
    usage_type,
    dimension_id

CREATE TABLE corrections
(
    `organization_id` UUID,
    `number` UInt64 COMMENT 'counts an organization\'s corrections from 1',
    `id` UUID COMMENT 'of the try: tells its writer whether it won the number',
    `corrected_at` DateTime64(6, 'UTC'),
    `actor` String,
    `reason` String,
    `events` UInt32 COMMENT 'that are corrected',
    `entries` String COMMENT 'the reversals and replacements, encoded as in the log' CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (organization_id, number)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE TABLE corrections_applied
(
    `organization_id` UUID,
    `number` UInt64
)
ENGINE = ReplacingMergeTree(number)
ORDER BY organization_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE TABLE credentials
(
    `kind` Enum8('agent_secret' = 1, 'login_token' = 2, 'app_password' = 3, 'access_token' = 4),
    `secret_sha256` String COMMENT 'lower-case hexadecimal',
    `organization_id` UUID,
    `user_id` UUID,
    `agent_id` UUID,
    `name` String,
    `expires_at` DateTime64(6, 'UTC'),
    `requests_per_minute` UInt32,
    `retired` Bool DEFAULT false,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (kind, secret_sha256)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE TABLE dimensions
(
    `organization_id` UUID,
    `dimension_id` UInt64,
    `service` LowCardinality(String),
    `provider` LowCardinality(String),
    `provider_endpoint` LowCardinality(String),
    `provider_key` LowCardinality(String),
    `model` LowCardinality(String),
    `chargeable` Bool,
    `purpose` LowCardinality(String)
)
ENGINE = ReplacingMergeTree
ORDER BY (organization_id, dimension_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE MATERIALIZED VIEW dimensions_view TO dimensions
(
    `organization_id` UUID,
    `dimension_id` UInt64,
    `service` LowCardinality(String),
    `provider` LowCardinality(String),
    `provider_endpoint` LowCardinality(String),
    `provider_key` LowCardinality(String),
    `model` LowCardinality(String),
    `chargeable` Bool,
    `purpose` LowCardinality(String)
)
AS SELECT
    organization_id,
    dimension_id,
    service,
    provider,
    provider_endpoint,
    provider_key,
    model,
    chargeable,
    purpose
FROM usage_events
LIMIT 1 BY
    organization_id,
    dimension_id

CREATE TABLE event_keys
(
    `node` UUID,
    `sequence` UInt64 COMMENT 'of the event in the log of its node' CODEC(Delta(8), ZSTD(1)),
    `event_id` UUID,
    `organization_id` UUID,
    `event_time` DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `ingest_time` DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toMonday(ingest_time, 'UTC')
ORDER BY (node, sequence)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE MATERIALIZED VIEW event_keys_view TO event_keys
(
    `node` UUID,
    `sequence` UInt64,
    `event_id` UUID,
    `organization_id` UUID,
    `event_time` DateTime64(6, 'UTC'),
    `ingest_time` DateTime64(6, 'UTC')
)
AS SELECT
    node,
    sequence,
    event_id,
    organization_id,
    event_time,
    ingest_time
FROM usage_events
WHERE (revision = 0) AND (entry = 'record') AND (ordinal = 0) AND (bitAnd(bitShiftRight(toUInt128(event_id), 76), 15) = 5)

CREATE TABLE holds
(
    `id` UUID COMMENT 'a UUIDv7: of several holds the oldest is kept',
    `reason` String,
    `until` DateTime64(6, 'UTC') COMMENT 'by this database\'s clock',
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
SETTINGS index_granularity = 8192

CREATE TABLE memberships
(
    `organization_id` UUID,
    `user_id` UUID,
    `role` Enum8('member' = 1, 'admin' = 2, 'superadmin' = 3),
    `active` Bool DEFAULT true,
    `retired` Bool DEFAULT false,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (organization_id, user_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE TABLE nodes
(
    `node` UUID COMMENT 'of the log',
    `said_at` DateTime64(6, 'UTC'),
    `stored` UInt64 COMMENT 'sequence up to which the ledger and every rollup have the log',
    `pending` UInt64 COMMENT 'events of the log that are not stored',
    `swept_at` DateTime64(6, 'UTC') COMMENT 'what others had stored by then holds no duplicate',
    `hold` UUID COMMENT 'while it inserts nothing because of it, else zero',
    `stopped` Bool COMMENT 'it ended in order and has nothing half done'
)
ENGINE = ReplacingMergeTree(said_at)
ORDER BY node
SETTINGS index_granularity = 8192

CREATE TABLE organizations
(
    `id` UUID,
    `name` String,
    `tenant` String COMMENT 'public name on the Memori routes',
    `stripe_customer` String,
    `stripe_meter` String,
    `stripe_subscription_item` String,
    `events_per_minute` UInt32,
    `retired` Bool DEFAULT false,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE TABLE retired
(
    `month` Date COMMENT 'its first day',
    `node` UUID,
    `part` UInt64 COMMENT 'the sequences from part * 1000000 on',
    `events` UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (month, node, part)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE TABLE services
(
    `name` String,
    `retired` Bool DEFAULT false,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE TABLE text_model_costs
(
    `id` UUID COMMENT 'named after all other columns: a changed price is another rate',
    `model` String,
    `usage_type` String,
    `provider` String,
    `provider_usd_per_million` Decimal(38, 12),
    `billed_usd_per_million` Decimal(38, 12),
    `effective_from` DateTime64(6, 'UTC'),
    `retired` Bool DEFAULT false,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (model, usage_type, effective_from)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE TABLE usage_events
(
    `organization_id` UUID,
    `event_id` UUID,
    `revision` UInt32,
    `entry` Enum8('reversal' = -1, 'record' = 1),
    `event_time` DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `ingest_time` DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `user_id` UUID,
    `agent_id` UUID,
    `service` LowCardinality(String),
    `channel` LowCardinality(String),
    `api_name` LowCardinality(String),
    `endpoint` LowCardinality(String),
    `provider` LowCardinality(String),
    `provider_endpoint` LowCardinality(String),
    `provider_key` LowCardinality(String) COMMENT 'obfuscated',
    `model` LowCardinality(String),
    `chargeable` Bool,
    `purpose` LowCardinality(String),
    `usage_type` LowCardinality(String),
    `ordinal` UInt8 COMMENT 'position of the measurement in its event, 0 is counted as the event',
    `quantity` Decimal(38, 6),
    `provider_cost` Decimal(38, 12),
    `billed_cost` Decimal(38, 12),
    `rate_id` UUID,
    `pricing` Enum8('unpriced' = 0, 'rated' = 1, 'given' = 2),
    `node` UUID,
    `sequence` UInt64 COMMENT 'of the event in the log of its node' CODEC(Delta(8), ZSTD(1)),
    `dimension_id` UInt64 MATERIALIZED cityHash64(service, provider, provider_endpoint, provider_key, model, chargeable, purpose),
    INDEX event_id_filter event_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (organization_id, agent_id, event_time, event_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192

CREATE VIEW user_billable_request_logs
(
    `id` UUID,
    `user_id` UUID,
    `organization_id` UUID,
    `agent_id` Nullable(UUID),
    `service_name` LowCardinality(String),
    `model_name` LowCardinality(String),
    `input_tokens` Decimal(38, 6),
    `output_tokens` Decimal(38, 6),
    `channel` LowCardinality(String),
    `service_cost` Decimal(38, 12),
    `agent700_cost` Decimal(38, 12),
    `created_at` DateTime64(6, 'UTC'),
    `revision` UInt32,
    `unpriced` Int64
)
AS SELECT
    e.event_id AS id,
    e.user_id AS user_id,
    e.organization_id AS organization_id,
    nullIf(e.agent_id, toUUID('00000000-0000-0000-0000-000000000000')) AS agent_id,
    e.service AS service_name,
    e.model AS model_name,
    sumIf(e.quantity, (e.usage_type IN ('INPUT', 'CACHED_INPUT', 'CACHE_WRITE'))) / greatest(sumIf(toInt64(e.entry), e.ordinal = 0), 1) AS input_tokens,
    sumIf(e.quantity, (e.usage_type IN ('OUTPUT', 'REASONING'))) / greatest(sumIf(toInt64(e.entry), e.ordinal = 0), 1) AS output_tokens,
    e.channel AS channel,
    sum(e.provider_cost) / greatest(sumIf(toInt64(e.entry), e.ordinal = 0), 1) AS service_cost,
    sum(e.billed_cost) / greatest(sumIf(toInt64(e.entry), e.ordinal = 0), 1) AS agent700_cost,
    e.event_time AS created_at,
    max(e.revision) AS revision,
    intDiv(sumIf(toInt64(e.entry), e.pricing = 'unpriced'), greatest(sumIf(toInt64(e.entry), e.ordinal = 0), 1)) AS unpriced
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

CREATE TABLE users
(
    `id` UUID,
    `name` String,
    `email` String,
    `retired` Bool DEFAULT false,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192


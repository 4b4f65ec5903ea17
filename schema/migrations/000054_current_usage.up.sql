-- For analysts, as usage_hourly: one row for each measurement that counts, in its event's current
-- revision. What was corrected or voided cancels out, because a reversal repeats what it takes
-- back, and of an event that two nodes accepted one copy is shown. It groups by what describes a
-- measurement, so that a condition on any of it is applied to the ledger's rows, by the primary key
-- where that is organization_id, agent_id or event_time.
CREATE VIEW IF NOT EXISTS current_usage
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

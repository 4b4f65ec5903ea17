-- Billable requests in the words of agent700's users: one row for each event of a service that
-- counts. A view: what the ledger says is never said twice. It groups by everything that describes
-- an event, because a reversal repeats the description of what it takes back: the rows of a
-- revision that was corrected cancel out, and so do all of a voided event. No column is computed
-- from several rows but the sums and the revision, so a condition on any of the others is applied
-- to the ledger's rows, by its primary key where it can be: ask with organization_id, and with
-- created_at.
CREATE VIEW IF NOT EXISTS user_billable_request_logs AS
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

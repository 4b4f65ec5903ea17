-- An organization's consumption by UTC month, user and agent in [from, to): a row for each usage
-- type and description of what was used. Of one user, of one agent, unless that id is the zero id.
SELECT
    month,
    user_id,
    agent_id,
    usage_type,
    provider,
    provider_endpoint,
    provider_key,
    model,
    chargeable,
    purpose,
    sum(used) AS quantity
FROM
(
    SELECT
        month,
        user_id,
        agent_id,
        usage_type,
        dimension_id,
        sum(quantity) AS used,
        sum(measurements) AS entries
    FROM consumption_monthly
    WHERE organization_id = {organization:UUID}
      AND (user_id = {user:UUID} OR {user:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
      AND (agent_id = {agent:UUID} OR {agent:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
      AND month >= {from:Date}
      AND month < {to:Date}
    GROUP BY
        month,
        user_id,
        agent_id,
        usage_type,
        dimension_id
    HAVING entries > 0
) AS used
LEFT ANY JOIN
(
    SELECT
        dimension_id,
        provider,
        provider_endpoint,
        provider_key,
        model,
        chargeable,
        purpose
    FROM dimensions
    WHERE organization_id = {organization:UUID}
) AS described USING (dimension_id)
GROUP BY
    month,
    user_id,
    agent_id,
    usage_type,
    provider,
    provider_endpoint,
    provider_key,
    model,
    chargeable,
    purpose
ORDER BY
    month,
    user_id,
    agent_id,
    usage_type,
    provider,
    provider_endpoint,
    provider_key,
    model,
    chargeable,
    purpose

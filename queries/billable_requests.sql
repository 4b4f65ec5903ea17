-- The newest requests of one user that count and started in [from, to), newest first.
-- Which they are is found first, so that a user of millions takes no memory for each. A request
-- that two nodes accepted is there once.
SELECT
    id,
    service_name,
    model_name,
    channel,
    input_tokens,
    output_tokens,
    service_cost,
    agent700_cost,
    unpriced,
    created_at
FROM
(
    SELECT *
    FROM user_billable_request_logs
    WHERE organization_id = {organization:UUID}
      AND user_id = {user:UUID}
      AND created_at >= {from:DateTime64(6, 'UTC')}
      AND created_at < {to:DateTime64(6, 'UTC')}
      AND id IN
      (
          SELECT event_id
          FROM usage_events
          WHERE organization_id = {organization:UUID}
            AND user_id = {user:UUID}
            AND event_time >= {from:DateTime64(6, 'UTC')}
            AND event_time < {to:DateTime64(6, 'UTC')}
            AND service != ''
            AND ordinal = 0
            AND entry = 'record'
            AND (event_id, revision) NOT IN
            (
                SELECT
                    event_id,
                    revision
                FROM usage_events
                WHERE organization_id = {organization:UUID}
                  AND user_id = {user:UUID}
                  AND event_time >= {from:DateTime64(6, 'UTC')}
                  AND event_time < {to:DateTime64(6, 'UTC')}
                  AND entry = 'reversal'
                  AND node = {corrections_node:UUID}
            )
            AND (node, sequence) NOT IN
            (
                SELECT
                    node,
                    sequence
                FROM usage_events
                WHERE organization_id = {organization:UUID}
                  AND user_id = {user:UUID}
                  AND event_time >= {from:DateTime64(6, 'UTC')}
                  AND event_time < {to:DateTime64(6, 'UTC')}
                  AND entry = 'reversal'
                  AND node != {corrections_node:UUID}
            )
          ORDER BY
              event_time DESC,
              UUIDToNum(event_id) DESC
          LIMIT 1 BY event_id
          LIMIT {limit:UInt64}
      )
    ORDER BY created_at
    LIMIT 1 BY id
)
ORDER BY
    created_at DESC,
    UUIDToNum(id) DESC

-- Where the last events of an organization lie in [from, before), newest first: the records that
-- match, an event as often as it has such revisions. Of two events of one time the one whose id is
-- less, as the ledger sorts ids, is before. What is not asked for is empty, or the zero id. Unless
-- reversed ones are asked for, only the quarter hours of the agents that have such events are read.
SELECT
    agent_id,
    event_time,
    event_id
FROM usage_events
WHERE organization_id = {organization:UUID}
  AND event_time >= {from:DateTime64(6, 'UTC')}
  AND event_time <= {before:DateTime64(6, 'UTC')}
  AND (event_time < {before:DateTime64(6, 'UTC')} OR event_id < {before_id:UUID})
  AND ({reversed:Bool}
      OR (agent_id, toStartOfFifteenMinutes(toDateTime(event_time, 'UTC'))) IN
      (
          SELECT
              agent_id,
              slot
          FROM agent_usage_15m
          WHERE organization_id = {organization:UUID}
            AND (agent_id = {agent:UUID}
                OR {agent:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
            AND slot >= toStartOfFifteenMinutes(toDateTime({from:DateTime64(6, 'UTC')}, 'UTC'))
            AND slot <= toDateTime({before:DateTime64(6, 'UTC')}, 'UTC')
            AND ({model:String} = '' OR model = {model:String})
            AND ({service:String} = '' OR service = {service:String})
            AND ({usage_type:String} = '' OR usage_type = {usage_type:String})
      ))
  AND (agent_id = {agent:UUID}
      OR {agent:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
  AND (user_id = {user:UUID}
      OR {user:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
  AND ({model:String} = '' OR model = {model:String})
  AND ({service:String} = '' OR service = {service:String})
  AND if({usage_type:String} = '', ordinal = 0, usage_type = {usage_type:String})
  AND entry = 'record'
ORDER BY
    event_time DESC,
    event_id DESC
LIMIT {limit:UInt64}

-- What an organization used, by bucket and the dimensions asked for, where whole UTC months and
-- days answer, and quarter hours and the ledger for the edges.
--
-- Each leg answers for spans: between two bounds, or, where there are several spans, for rows after
-- whose last cut a span starts. The days, unless empty, are the dates all spans lie in, for the
-- index. A leg without spans has empty bounds and is not even planned. by are the positions, from
-- 1, of the dimensions asked for: all that hangs on the others is folded away before it is read.
-- A bucket is a run, or so many widths after one. With kept, combinations of the dimensions whose
-- hash is not in it become one, the other. ranking asks for that hash.
-- The files of usage_*.sql are made of the same parts: a test holds them together.
SELECT
    bucket,
    other,
    arrayMap(i -> [
        toString(agent), toString(person), toString(service_name), toString(channel_name),
        toString(api), toString(route), toString(provider_name), toString(model_name),
        toString(aim), toString(charge), toString(kind)
    ][i], {by:Array(UInt8)}) AS labels,
    if({ranking:Bool}, cityHash64(
        agent, person, service_name, channel_name, api, route, provider_name, model_name, aim,
        charge, kind
    ), 0) AS combination,
    quantities,
    if({counted:Bool}, measured, if({partial:Bool}, -1, happened)) AS times,
    provider_costs,
    billed_costs,
    unpriced_measurements
FROM
(
    SELECT
        bucket,
        other,
        if(other OR NOT has({by:Array(UInt8)}, 1), toUUID('00000000-0000-0000-0000-000000000000'),
            agent_id) AS agent,
        if(other OR NOT has({by:Array(UInt8)}, 2), toUUID('00000000-0000-0000-0000-000000000000'),
            user_id) AS person,
        if(other OR NOT has({by:Array(UInt8)}, 3), toLowCardinality(''), service) AS service_name,
        if(other OR NOT has({by:Array(UInt8)}, 4), toLowCardinality(''), channel) AS channel_name,
        if(other OR NOT has({by:Array(UInt8)}, 5), toLowCardinality(''), api_name) AS api,
        if(other OR NOT has({by:Array(UInt8)}, 6), toLowCardinality(''), endpoint) AS route,
        if(other OR NOT has({by:Array(UInt8)}, 7), toLowCardinality(''), provider) AS provider_name,
        if(other OR NOT has({by:Array(UInt8)}, 8), toLowCardinality(''), model) AS model_name,
        if(other OR NOT has({by:Array(UInt8)}, 9), toLowCardinality(''), purpose) AS aim,
        if(other OR NOT has({by:Array(UInt8)}, 10), false, chargeable) AS charge,
        if(other OR NOT has({by:Array(UInt8)}, 11), toLowCardinality(''), usage_type) AS kind,
        sum(quantity) AS quantities,
        sum(provider_cost) AS provider_costs,
        sum(billed_cost) AS billed_costs,
        sum(firsts) AS happened,
        sum(entries) AS measured,
        sum(unrated) AS unpriced_measurements
    FROM
    (
        SELECT
            *,
            roundDown(at, {runs:Array(UInt32)}) AS run,
            toUInt32(run + intDiv(at - run, {width:UInt32}) * {width:UInt32}) AS bucket,
            if(empty({kept:Array(UInt64)}), false, cityHash64(
                if(has({by:Array(UInt8)}, 1), agent_id,
                    toUUID('00000000-0000-0000-0000-000000000000')),
                if(has({by:Array(UInt8)}, 2), user_id,
                    toUUID('00000000-0000-0000-0000-000000000000')),
                if(has({by:Array(UInt8)}, 3), service, toLowCardinality('')),
                if(has({by:Array(UInt8)}, 4), channel, toLowCardinality('')),
                if(has({by:Array(UInt8)}, 5), api_name, toLowCardinality('')),
                if(has({by:Array(UInt8)}, 6), endpoint, toLowCardinality('')),
                if(has({by:Array(UInt8)}, 7), provider, toLowCardinality('')),
                if(has({by:Array(UInt8)}, 8), model, toLowCardinality('')),
                if(has({by:Array(UInt8)}, 9), purpose, toLowCardinality('')),
                if(has({by:Array(UInt8)}, 10), chargeable, false),
                if(has({by:Array(UInt8)}, 11), usage_type, toLowCardinality(''))
            ) NOT IN {kept:Array(UInt64)}) AS other
        FROM
        (
            SELECT
                toUInt32(toUInt16(month) * 86400) AS at,
                agent_id,
                user_id,
                service,
                toLowCardinality('') AS channel,
                toLowCardinality('') AS api_name,
                toLowCardinality('') AS endpoint,
                provider,
                model,
                purpose,
                chargeable,
                usage_type,
                quantity,
                provider_cost,
                billed_cost,
                events AS firsts,
                measurements AS entries,
                unpriced AS unrated
            FROM consumption_monthly
            LEFT ANY JOIN
            (
                SELECT
                    dimension_id,
                    service,
                    provider,
                    model,
                    purpose,
                    chargeable
                FROM dimensions
                WHERE organization_id = {organization:UUID}
                  AND {described:Bool}
            ) AS described USING (dimension_id)
            WHERE organization_id = {organization:UUID}
              AND month >= {month_from:Date}
              AND month < {month_to:Date}
              AND (length({month_cuts:Array(UInt32)}) < 2
                  OR roundDown(at, {month_cuts:Array(UInt32)})
                     IN {month_starts:Array(UInt32)})
              AND (empty({agents:Array(UUID)}) OR agent_id IN {agents:Array(UUID)})
              AND (empty({users:Array(UUID)}) OR user_id IN {users:Array(UUID)})
              AND (empty({services:Array(String)}) OR service IN {services:Array(String)})
              AND (empty({providers:Array(String)}) OR provider IN {providers:Array(String)})
              AND (empty({models:Array(String)}) OR model IN {models:Array(String)})
              AND (empty({purposes:Array(String)}) OR purpose IN {purposes:Array(String)})
              AND (empty({chargeables:Array(Bool)}) OR chargeable IN {chargeables:Array(Bool)})
              AND (empty({usage_types:Array(String)}) OR usage_type IN {usage_types:Array(String)})
            UNION ALL
            SELECT
                toUInt32(toUInt16(day) * 86400) AS at,
                agent_id,
                user_id,
                service,
                toLowCardinality('') AS channel,
                toLowCardinality('') AS api_name,
                toLowCardinality('') AS endpoint,
                provider,
                model,
                purpose,
                chargeable,
                usage_type,
                quantity,
                provider_cost,
                billed_cost,
                events AS firsts,
                measurements AS entries,
                unpriced AS unrated
            FROM consumption_daily
            LEFT ANY JOIN
            (
                SELECT
                    dimension_id,
                    service,
                    provider,
                    model,
                    purpose,
                    chargeable
                FROM dimensions
                WHERE organization_id = {organization:UUID}
                  AND {described:Bool}
            ) AS described USING (dimension_id)
            WHERE organization_id = {organization:UUID}
              AND day >= {day_from:Date}
              AND day < {day_to:Date}
              AND (empty({day_days:Array(Date)})
                  OR day IN {day_days:Array(Date)})
              AND (length({day_cuts:Array(UInt32)}) < 2
                  OR roundDown(at, {day_cuts:Array(UInt32)})
                     IN {day_starts:Array(UInt32)})
              AND (empty({agents:Array(UUID)}) OR agent_id IN {agents:Array(UUID)})
              AND (empty({users:Array(UUID)}) OR user_id IN {users:Array(UUID)})
              AND (empty({services:Array(String)}) OR service IN {services:Array(String)})
              AND (empty({providers:Array(String)}) OR provider IN {providers:Array(String)})
              AND (empty({models:Array(String)}) OR model IN {models:Array(String)})
              AND (empty({purposes:Array(String)}) OR purpose IN {purposes:Array(String)})
              AND (empty({chargeables:Array(Bool)}) OR chargeable IN {chargeables:Array(Bool)})
              AND (empty({usage_types:Array(String)}) OR usage_type IN {usage_types:Array(String)})
            UNION ALL
            SELECT
                toUnixTimestamp(slot) AS at,
                agent_id,
                toUUID('00000000-0000-0000-0000-000000000000') AS user_id,
                service,
                toLowCardinality('') AS channel,
                toLowCardinality('') AS api_name,
                toLowCardinality('') AS endpoint,
                toLowCardinality('') AS provider,
                model,
                toLowCardinality('') AS purpose,
                chargeable,
                usage_type,
                quantity,
                provider_cost,
                billed_cost,
                events AS firsts,
                measurements AS entries,
                unpriced AS unrated
            FROM agent_usage_15m
            WHERE organization_id = {organization:UUID}
              AND slot >= {quarter_from:DateTime('UTC')}
              AND slot < {quarter_to:DateTime('UTC')}
              AND (empty({quarter_days:Array(Date)})
                  OR toDate(slot, 'UTC') IN {quarter_days:Array(Date)})
              AND (length({quarter_cuts:Array(UInt32)}) < 2
                  OR roundDown(at, {quarter_cuts:Array(UInt32)})
                     IN {quarter_starts:Array(UInt32)})
              AND (empty({agents:Array(UUID)}) OR agent_id IN {agents:Array(UUID)})
              AND (empty({services:Array(String)}) OR service IN {services:Array(String)})
              AND (empty({models:Array(String)}) OR model IN {models:Array(String)})
              AND (empty({chargeables:Array(Bool)}) OR chargeable IN {chargeables:Array(Bool)})
              AND (empty({usage_types:Array(String)}) OR usage_type IN {usage_types:Array(String)})
            UNION ALL
            SELECT
                toUnixTimestamp(event_time) AS at,
                agent_id,
                user_id,
                service,
                channel,
                api_name,
                endpoint,
                provider,
                model,
                purpose,
                chargeable,
                usage_type,
                quantity,
                provider_cost,
                billed_cost,
                if(ordinal = 0, toInt64(entry), 0) AS firsts,
                toInt64(entry) AS entries,
                if(pricing = 'unpriced', toInt64(entry), 0) AS unrated
            FROM usage_events
            WHERE organization_id = {organization:UUID}
              AND event_time >= {event_from:DateTime64(6, 'UTC')}
              AND event_time < {event_to:DateTime64(6, 'UTC')}
              AND (empty({event_days:Array(Date)})
                  OR toDate(event_time, 'UTC') IN {event_days:Array(Date)})
              AND (length({event_cuts:Array(Int64)}) < 2
                  OR roundDown(toUnixTimestamp64Micro(event_time), {event_cuts:Array(Int64)})
                     IN {event_starts:Array(Int64)})
              AND (empty({agents:Array(UUID)}) OR agent_id IN {agents:Array(UUID)})
              AND (empty({users:Array(UUID)}) OR user_id IN {users:Array(UUID)})
              AND (empty({services:Array(String)}) OR service IN {services:Array(String)})
              AND (empty({channels:Array(String)}) OR channel IN {channels:Array(String)})
              AND (empty({api_names:Array(String)}) OR api_name IN {api_names:Array(String)})
              AND (empty({endpoints:Array(String)}) OR endpoint IN {endpoints:Array(String)})
              AND (empty({providers:Array(String)}) OR provider IN {providers:Array(String)})
              AND (empty({models:Array(String)}) OR model IN {models:Array(String)})
              AND (empty({purposes:Array(String)}) OR purpose IN {purposes:Array(String)})
              AND (empty({chargeables:Array(Bool)}) OR chargeable IN {chargeables:Array(Bool)})
              AND (empty({usage_types:Array(String)}) OR usage_type IN {usage_types:Array(String)})
        )
    )
    GROUP BY
        bucket,
        other,
        agent,
        person,
        service_name,
        channel_name,
        api,
        route,
        provider_name,
        model_name,
        aim,
        charge,
        kind
    HAVING measured != 0
)
ORDER BY
    bucket,
    other,
    if({order:UInt8} = 1, quantities,
        if({order:UInt8} = 2, billed_costs, if({order:UInt8} = 3, times, 0))) DESC,
    labels
LIMIT {limit:UInt64}

-- One slice of a year of usage, made of nothing but the numbers of its events: the same numbers and
-- parameters give the same rows on every machine. Every choice is a hash of the event's number; what
-- differs from one agent to the next (its people, its model, how long its texts are) is a hash of the
-- agent's. A rank is exp2(u * log2(n + 1)) of an even u, which is Zipf's law with exponent 1.
INSERT INTO usage_events
(
    organization_id,
    event_id,
    revision,
    entry,
    event_time,
    ingest_time,
    user_id,
    agent_id,
    service,
    channel,
    api_name,
    endpoint,
    provider,
    provider_endpoint,
    provider_key,
    model,
    chargeable,
    purpose,
    usage_type,
    ordinal,
    quantity,
    provider_cost,
    billed_cost,
    rate_id,
    pricing,
    node,
    sequence
)
WITH
    (high, low) -> reinterpretAsUUID(
        bitOr(toUInt128(high), bitShiftLeft(toUInt128(low), 64))) AS uuid_of,
    (high, version) -> bitOr(
        bitAnd(high, 0xFFFFFFFFFFFF0FFF), bitShiftLeft(version, 12)) AS versioned,
    low -> bitOr(bitAnd(low, 0x3FFFFFFFFFFFFFFF), 0x8000000000000000) AS variant,
    (kind, n) -> uuid_of(
        versioned(intHash64(bitXor({seed:UInt64}, kind * 4294967296 + n)), toUInt64(4)),
        variant(intHash64(bitXor({seed:UInt64}, (kind + 128) * 4294967296 + n)))) AS named,
    (n, salt) -> intHash64(bitXor({seed:UInt64}, n * 16 + salt)) AS hashed,
    ['', 'INPUT', 'OUTPUT', 'CACHED_INPUT', 'UNITS', 'VAPI_SECONDS'] AS types
SELECT
    named(toUInt64(1), organization) AS organization_id,
    uuid_of(high, variant(hashed(number, 1))) AS event_id,
    0 AS revision,
    1 AS entry,
    fromUnixTimestamp64Micro(micros, 'UTC') AS event_time,
    fromUnixTimestamp64Micro(micros + 20000 + toInt64(pick % 1000003), 'UTC') AS ingest_time,
    named(toUInt64(3), user) AS user_id,
    if(agentless, toUUID('00000000-0000-0000-0000-000000000000'), named(toUInt64(2), agent))
        AS agent_id,
    multiIf(spoken, 'transcription', insights, 'log-insights', '') AS service,
    multiIf(spoken, 'voice', tracked, '', ['web', 'web', 'api', 'app'][1 + agent_hash % 4])
        AS channel,
    multiIf(tracked, ['search', 'maps', 'ocr', 'weather', 'translate'][1 + pick % 5],
        spoken, 'transcribe', coding, 'complete', 'llm_query') AS api_name,
    multiIf(tracked, ['/find', '/route', '/scan', '/forecast', '/text', '/batch'][1 + pick % 6],
        spoken, '/v1/audio', ['/chat', '/chat', '/v1/responses', '/v1/messages'][
            1 + intDiv(pick, 64) % 4]) AS endpoint,
    if(tracked, '', {providers:Array(String)}[1 + model_at]) AS provider,
    if(tracked, '', {provider_endpoints:Array(String)}[1 + model_at]) AS provider_endpoint,
    if(tracked, 'sk-…' || toString(1000 + organization), '') AS provider_key,
    if(tracked, '', {models:Array(String)}[1 + model_at]) AS model,
    agent_hash % 25 != 7 AND intDiv(pick, 4096) % 200 > 0 AS chargeable,
    ['QA', 'QA', 'QA', 'QA', 'QA', 'DT', 'DT', 'IE'][1 + if(intDiv(pick, 524288) % 16 > 0,
        intDiv(agent_hash, 64), hashed(number, 10)) % 8] AS purpose,
    types[1 + kind] AS usage_type,
    ordinal,
    toDecimal128(amount, 6) AS quantity,
    toDecimal128(amount * price, 0) * toDecimal128('0.000000000001', 12) AS provider_cost,
    toDecimal128(amount * billed, 0) * toDecimal128('0.000000000001', 12) AS billed_cost,
    if(tracked OR price = 0, toUUID('00000000-0000-0000-0000-000000000000'),
        named(toUInt64(4), toUInt64(model_at * 8 + kind))) AS rate_id,
    multiIf(tracked, 2, price = 0, 0, 1) AS pricing,
    {node:UUID} AS node,
    number + 1 AS sequence
FROM
(
    SELECT
        *,
        arrayJoin(range(toUInt8(if(single, 1, 2 + (cached > 0))))) AS ordinal,
        multiIf(tracked, 4, spoken, 5, ordinal + 1) AS kind,
        toUInt64(multiIf(
            single, 1 + hashed(number, 4) % 500,
            ordinal = 0, input - cached,
            ordinal = 1, output,
            cached)) AS amount,
        if(tracked, 12400000, {prices:Array(UInt64)}[1 + model_at * 8 + kind]) AS price,
        if(tracked, price, {billed_prices:Array(UInt64)}[1 + model_at * 8 + kind]) AS billed
    FROM
    (
        SELECT
            *,
            tracked OR spoken AS agentless,
            tracked OR spoken AS single,
            intDiv(pick, 131072) % 100 < 3 AS insights,
            {users_first:Array(UInt32)}[1 + organization] + hashed(
                agent * 64 + toUInt64(exp2(
                    pow(hashed(number, 3) % 1048576 / 1048576., 2) * 5.3)), 5)
                % {users:Array(UInt32)}[1 + organization] AS user,
            if(pick % 100 < 92, agent_hash, hashed(number, 6)) AS model_hash,
            if(spoken, {spoken_model:UInt8},
                {model_of:Array(UInt8)}[1 + model_hash % length({model_of:Array(UInt8)})])
                AS model_at,
            hashed(number, 7) AS sizes,
            if(coding, 65, 0) + bitAnd(bitShiftRight(sizes, 10), 63) AS input_at,
            if(coding, 65, 0) + bitAnd(bitShiftRight(sizes, 26), 63) AS output_at,
            {inputs:Array(UInt32)}[1 + input_at] + bitShiftRight(bitAnd(sizes, 1023) * (
                {inputs:Array(UInt32)}[2 + input_at] - {inputs:Array(UInt32)}[1 + input_at]), 10)
                AS input,
            {outputs:Array(UInt32)}[1 + output_at] + bitShiftRight(
                bitAnd(bitShiftRight(sizes, 16), 1023) * ({outputs:Array(UInt32)}[2 + output_at]
                - {outputs:Array(UInt32)}[1 + output_at]), 10) AS output,
            if(bitShiftRight(sizes, 32) % 100 < 15,
                intDiv(input * (bitShiftRight(sizes, 40) % 90), 100), 0) AS cached,
            if(bitAnd(pick, 1) = 1,
                versioned(hashed(number, 8), toUInt64(5)),
                versioned(bitOr(bitShiftLeft(toUInt64(intDiv(micros, 1000)), 16),
                    bitAnd(hashed(number, 8), 4095)), toUInt64(7))) AS high
        FROM
        (
            SELECT
                number,
                hashed(number, 0) AS pick,
                {organization_of:Array(UInt8)}[
                    1 + bitShiftRight(pick, 40) % length({organization_of:Array(UInt8)})]
                    AS organization,
                {agents_first:Array(UInt32)}[1 + organization] + toUInt64(exp2(
                    hashed(number, 2) % 1048576 / 1048576.
                    * {agents_log2:Array(Float64)}[1 + organization])) - 1 AS agent,
                hashed(agent, 9) AS agent_hash,
                agent_hash % 3 = 0 AS coding,
                organization = {tracker:UInt8} AND bitShiftRight(pick, 20) % 4 > 0 AS tracked,
                NOT tracked AND bitShiftRight(pick, 24) % 50 = 0 AS spoken,
                {times:Array(Int64)} AS moments,
                intDiv((number - {first:UInt64}) * (length(moments) - 1) * 1048576, {events:UInt64})
                    AS position,
                bitShiftRight(position, 20) AS moment,
                moments[1 + moment] + bitShiftRight(
                    (moments[2 + moment] - moments[1 + moment]) * bitAnd(position, 1048575), 20)
                    AS micros
            FROM numbers({first:UInt64}, {events:UInt64})
        )
    )
)

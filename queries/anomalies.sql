-- Hours of [from, to) in which an agent used far more or far less of a usage type than it does at
-- that hour of the week: docs/anomalies.md says how that is found. since is 56 days before from, n
-- counts the hours from there: n % 24 is an hour of the day, n - 168 the same hour a week before.
-- Hours without usage have no row: lists of peers are filled up with zeros. Statistics are floats
-- on the scale x = log(quantity + pad), quantities are decimals from end to end.
WITH
    56 * 24 AS past,
    intDiv(toUnixTimestamp({to:DateTime('UTC')}) - toUnixTimestamp({since:DateTime('UTC')}), 3600)
        AS hours,
    hourly AS
    (
        SELECT
            agent_id,
            usage_type,
            toStartOfHour(slot) AS started,
            sum(quantity) AS amount
        FROM agent_usage_15m
        WHERE organization_id = {organization:UUID}
          AND (agent_id = {agent:UUID}
               OR {agent:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
          AND slot >= {since:DateTime('UTC')}
          AND slot < {to:DateTime('UTC')}
        GROUP BY
            agent_id,
            usage_type,
            started
        HAVING amount > 0
    ),
    numbered AS
    (
        SELECT
            agent_id,
            usage_type,
            toInt32(intDiv(
                toUnixTimestamp(started) - toUnixTimestamp({since:DateTime('UTC')}), 3600)) AS n,
            amount
        FROM hourly
    ),
    -- An agent's usage type at an hour of the day: the days it was used on, and how much.
    clocks AS
    (
        SELECT
            agent_id,
            usage_type,
            n % 24 AS clock,
            groupArray(intDiv(n, 24)) AS unsorted_days,
            groupArray(amount) AS unsorted_amounts,
            min(n) AS first_here,
            countIf(n < past) AS active_here,
            sumIf(amount, n < past) AS total_here,
            maxIf(amount, n < past) AS most_here
        FROM numbered
        GROUP BY
            agent_id,
            usage_type,
            clock
    ),
    -- With what is true of all its hours.
    series AS
    (
        SELECT
            agent_id,
            usage_type,
            clock,
            arraySort(unsorted_days) AS days,
            arraySort((q, d) -> d, unsorted_amounts, unsorted_days) AS amounts,
            min(first_here) OVER whole AS first_n,
            sum(active_here) OVER whole AS active,
            sum(total_here) OVER whole AS total,
            max(most_here) OVER whole AS most
        FROM clocks
        WINDOW whole AS (PARTITION BY agent_id, usage_type)
    ),
    -- With how much a day at this hour differs from a week before: of 100 days, 95 not more.
    rhythms AS
    (
        SELECT
            agent_id,
            usage_type,
            clock,
            days,
            amounts,
            first_n,
            active,
            most,
            toFloat64(total) / active / 10 AS pad,
            toInt32(intDiv(first_n + 23, 24)) AS first_day,
            arrayFilter(d -> d < 56, days) AS past_days,
            arrayResize(
                arrayFlatten(arrayMap(
                    (gap, q) -> arrayPushBack(
                        arrayWithConstant(gap - 1, log(pad)), log(toFloat64(q) + pad)),
                    arrayPopFront(arrayDifference(arrayPushFront(past_days, -1))),
                    arraySlice(amounts, 1, length(past_days))
                )),
                56,
                log(pad)
            ) AS daily,
            arraySort(arrayMap(
                (a, b) -> abs(a - b),
                arraySlice(daily, first_day + 8),
                arraySlice(daily, first_day + 1, 49 - first_day)
            )) AS changes,
            changes[toUInt32(ceil(length(changes) * 0.95))] AS clock_change
        FROM series
        WHERE first_n < past - 10 * 24
    ),
    -- With how much it differs at any hour: of 100, 99 not more.
    steady AS
    (
        SELECT
            *,
            quantileExactArray(0.99)(changes) OVER (PARTITION BY agent_id, usage_type) AS any_change
        FROM rhythms
    ),
    -- Each hour that is asked for, with those it is compared with.
    compared AS
    (
        SELECT
            agent_id,
            usage_type,
            first_n,
            active,
            most,
            pad,
            clock_change,
            any_change,
            toInt32(i) AS at_day,
            at_day * 24 + clock AS n,
            least(8, intDiv(n - first_n, 168)) AS weeks,
            weeks < 4 AS young,
            if(young, least(28, intDiv(n - first_n, 24)), weeks) AS peers_count,
            arrayFirst((q, d) -> d = at_day, amounts, days) AS used,
            arraySort(arrayResize(
                arrayFilter(
                    (q, d) -> d < at_day
                        AND if(young, at_day - d <= 28,
                               at_day - d <= 56 AND (at_day - d) % 7 = 0),
                    amounts,
                    days
                ),
                peers_count,
                toDecimal128(0, 6)
            )) AS peers,
            (peers[intDiv(peers_count + 1, 2)] + peers[intDiv(peers_count, 2) + 1]) / 2
                AS expected,
            -- Hours of several weekdays are only outside what all of them did.
            if(young, peers[1], expected) AS least_usual,
            if(young, peers[peers_count], expected) AS most_usual,
            log(toFloat64(expected) + pad) AS x,
            arraySort(arrayMap(p -> abs(log(toFloat64(p) + pad) - x), peers)) AS away,
            (away[intDiv(peers_count + 1, 2)] + away[intDiv(peers_count, 2) + 1]) / 2 AS mad
        FROM steady
        ARRAY JOIN range(56, 57 + intDiv(hours - past - 1, 24)) AS i
        WHERE n < hours
    ),
    bounded AS
    (
        SELECT
            *,
            greatest(
                0.1,
                1.4826 * mad,
                -- Of a difference of two normal numbers 95 % are within 1.96 * sqrt(2) deviations,
                -- and 99 % within 2.576 * sqrt(2).
                clock_change / 2.77,
                any_change / 3.64,
                if(expected = 0 AND active * 10 < past - greatest(first_n, 0),
                    (log(toFloat64(most) + pad) - x) / 3, 0)
            ) AS spread,
            greatest(
                toDecimal128(least((toFloat64(most_usual) + pad) * exp(6 * spread) - pad, 1e20), 6),
                expected + 5
            ) AS high,
            least(
                toDecimal128(
                    greatest((toFloat64(least_usual) + pad) * exp(-6 * spread) - pad, 0), 6),
                greatest(expected - 5, 0)
            ) AS low
        FROM compared
    )
SELECT
    agent_id,
    toDateTime({since:DateTime('UTC')} + toIntervalHour(n), 'UTC') AS hour,
    usage_type,
    used,
    expected,
    low,
    high,
    toInt64(peers_count) AS hours_compared,
    toInt64(round(100 * (log(toFloat64(used) + pad) - x) / spread)) AS score
FROM bounded
WHERE used > high
   OR used < low
ORDER BY
    hour DESC,
    abs(score) DESC,
    agent_id,
    usage_type
LIMIT {limit:UInt64}

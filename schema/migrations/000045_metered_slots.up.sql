-- What each slot comes to: metered_hourly by organization, meter and hour, in the meter's units,
-- rounded half to even once. More than 10^18 of them is said to be that: of so much nothing is told.
CREATE VIEW IF NOT EXISTS metered_slots AS
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

-- What Stripe was told of every slot with a revision, of one organization and meter, or of all.
SELECT
    organization_id,
    meter,
    window_start,
    customer,
    subscription_item,
    own + carried AS ledger,
    if({mode:UInt8} = 3, added_units, set_units) AS told,
    latest,
    empty(if({mode:UInt8} = 3, open, arrayFilter(r -> r.1 = latest, open)))
        AND said_at <= toUnixTimestamp64Micro({settled:DateTime64(6, 'UTC')}) AS settled
FROM
(
    SELECT
        organization_id,
        meter,
        window_start,
        own,
        carried,
        added_units,
        set_units,
        latest,
        open,
        said_at
    FROM reported_slots
    WHERE (organization_id = {organization:UUID}
           OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
      AND (meter = {meter:String} OR {meter:String} = '')
      AND window_start >= {from:DateTime('UTC')}
      AND window_start < {to:DateTime('UTC')}
      AND latest > 0
) AS s
LEFT ANY JOIN
(
    SELECT
        organization_id,
        toString(report_intents.meter) AS meter,
        window_start,
        argMax(customer, revision) AS customer,
        argMax(subscription_item, revision) AS subscription_item
    FROM report_intents
    WHERE (organization_id = {organization:UUID}
           OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
      AND (meter = {meter:String} OR {meter:String} = '')
      AND window_start >= {from:DateTime('UTC')}
      AND window_start < {to:DateTime('UTC')}
    GROUP BY
        organization_id,
        meter,
        window_start
) AS i USING (organization_id, meter, window_start)
ORDER BY
    organization_id,
    meter,
    window_start

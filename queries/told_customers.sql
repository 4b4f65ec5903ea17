-- As which customers, meters and subscription items Stripe was told of organizations' hours since a
-- time: the catalog may have them otherwise by now.
SELECT DISTINCT
    customer,
    organization_id,
    toString(report_intents.meter) AS event_name,
    subscription_item
FROM report_intents
WHERE window_start >= {from:DateTime('UTC')}
ORDER BY
    customer,
    organization_id,
    event_name,
    subscription_item

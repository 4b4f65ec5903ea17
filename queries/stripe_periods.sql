-- What invoices told of an organization's periods, the newest first.
SELECT
    meter,
    period_start,
    period_end,
    finalized,
    invoice_id,
    invoiced_units,
    seen_at
FROM stripe_periods FINAL
WHERE organization_id = {organization:UUID}
ORDER BY
    period_start DESC,
    meter

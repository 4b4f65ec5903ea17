-- What invoices told of periods. A finalized one stays so.
INSERT INTO stripe_periods
(
    organization_id,
    meter,
    period_start,
    period_end,
    finalized,
    invoice_id,
    invoiced_units,
    seen_at
)

-- Billing periods as Stripe's invoices told of them: drafted (invoice.created: its slots are
-- reported at once) and then finalized with what was invoiced, which is the truth from then on.
-- ReplacingMergeTree: finalized stays over drafted whatever comes later. Read with FINAL.
CREATE TABLE IF NOT EXISTS stripe_periods
(
    organization_id UUID,
    meter LowCardinality(String),
    period_start DateTime('UTC'),
    period_end DateTime('UTC'),
    finalized Bool,
    invoice_id String,
    invoiced_units Int64 COMMENT 'of the invoice''s line, 0 until it is finalized',
    seen_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(finalized)
ORDER BY (organization_id, meter, period_start)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1

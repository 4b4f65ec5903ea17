-- A carry, under a token of its origin and number: the first writer of a number wins.
INSERT INTO report_carries
(
    organization_id,
    meter,
    from_window,
    number,
    id,
    to_window,
    units,
    reason,
    created_at,
    writer
)

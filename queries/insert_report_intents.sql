-- A batch of intents, under a token of its number: the first writer of a number wins.
INSERT INTO report_intents
(
    organization_id,
    meter,
    window_start,
    revision,
    mode,
    total,
    send,
    identifier,
    customer,
    subscription_item,
    created_at,
    writer,
    batch,
    batch_id
)

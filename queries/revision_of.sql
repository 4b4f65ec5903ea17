-- The revision that was sent under an identifier, which names its organization and hour.
SELECT
    meter,
    revision,
    frozen.mode AS way,
    frozen.total AS total,
    frozen.send AS send,
    frozen.customer AS customer,
    frozen.subscription_item AS subscription_item,
    created_at,
    frozen.writer AS writer,
    verdict,
    attempts,
    rotations,
    last_at
FROM report_revisions
WHERE organization_id = {organization:UUID}
  AND window_start = {start:DateTime('UTC')}
  AND intents > 0
  AND frozen.identifier = {identifier:String}

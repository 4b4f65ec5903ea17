-- The revisions of a slot in order, each with the state that its outcomes make.
SELECT
    revision,
    frozen.mode AS way,
    frozen.total AS total,
    frozen.send AS send,
    frozen.identifier AS identifier,
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
  AND meter = {meter:String}
  AND window_start = {start:DateTime('UTC')}
  AND intents > 0
ORDER BY revision

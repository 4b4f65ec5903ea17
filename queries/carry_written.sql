-- Whose a carry is.
SELECT id
FROM report_carries
WHERE organization_id = {organization:UUID}
  AND meter = {meter:String}
  AND from_window = {from:DateTime('UTC')}
  AND number = {number:UInt32}

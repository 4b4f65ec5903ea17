-- Which erasures are under way or not forgotten yet: all, or those of a subject, the oldest first.
-- One that is done and whose row still has the person's id in an older version lingers.
SELECT
    e.id AS id,
    e.organization_id AS organization_id,
    e.subject AS subject,
    e.user_id AS user_id,
    e.replacement_id AS replacement_id,
    e.requested_at AS requested_at,
    e.done_at AS done_at,
    e.user_id = toUUID('00000000-0000-0000-0000-000000000000') AND e.id IN
    (
        SELECT id
        FROM erasures
        WHERE user_id != toUUID('00000000-0000-0000-0000-000000000000')
    ) AS lingers
FROM erasures AS e FINAL
WHERE e.subject = {subject:String}
   OR {subject:String} = ''
ORDER BY
    requested_at,
    id

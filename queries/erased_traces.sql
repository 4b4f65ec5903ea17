-- Where does an organization's usage, or its journal of corrections, still name the person of an
-- erasure? Tables, and the months of their rows. Rows that come to nothing count, until merges drop
-- them: they are there to be read.
SELECT
    place,
    month
FROM
(
    SELECT
        'usage_events' AS place,
        toStartOfMonth(toDate(event_time, 'UTC')) AS month
    FROM usage_events
    WHERE organization_id = {organization:UUID}
      AND user_id IN
      (
          SELECT user_id
          FROM erasures FINAL
          WHERE id = {erasure:UUID}
            AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
      )
    UNION ALL
    SELECT
        'consumption_daily' AS place,
        toStartOfMonth(day) AS month
    FROM consumption_daily
    WHERE organization_id = {organization:UUID}
      AND user_id IN
      (
          SELECT user_id
          FROM erasures FINAL
          WHERE id = {erasure:UUID}
            AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
      )
    UNION ALL
    SELECT
        'consumption_monthly' AS place,
        consumption_monthly.month AS month
    FROM consumption_monthly
    WHERE organization_id = {organization:UUID}
      AND user_id IN
      (
          SELECT user_id
          FROM erasures FINAL
          WHERE id = {erasure:UUID}
            AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
      )
    UNION ALL
    SELECT
        'corrections' AS place,
        toDate(0) AS month
    FROM corrections
    WHERE organization_id = {organization:UUID}
      AND (
          position(entries, (
              SELECT anyOrNull(toString(UUIDStringToNum(toString(user_id))))
              FROM erasures FINAL
              WHERE id = {erasure:UUID}
                AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
          )) > 0
          OR position(concat(actor, ' ', reason), (
              SELECT anyOrNull(toString(user_id))
              FROM erasures FINAL
              WHERE id = {erasure:UUID}
                AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
          )) > 0
      )
)
GROUP BY
    place,
    month
ORDER BY
    place,
    month

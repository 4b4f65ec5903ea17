-- Replaces the person of an erasure in a month of the ledger. The user is in no sort key and in no
-- sum of the views: nothing else of a row changes.
ALTER TABLE usage_events
    UPDATE user_id = (
        SELECT any(replacement_id)
        FROM erasures FINAL
        WHERE id = {erasure:UUID}
    )
    IN PARTITION ID {partition:String}
    WHERE organization_id = {organization:UUID}
      AND user_id IN
      (
          SELECT user_id
          FROM erasures FINAL
          WHERE id = {erasure:UUID}
            AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
      )

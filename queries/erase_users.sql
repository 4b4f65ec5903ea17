-- Removes the users of the person of an erasure, which are retired: first the versions that were
-- not, so that none of them is ever the newest.
ALTER TABLE users
    DELETE WHERE retired = {retired:Bool}
      AND id IN
      (
          SELECT user_id
          FROM erasures FINAL
          WHERE id = {erasure:UUID}
            AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
      )

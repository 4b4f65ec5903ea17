-- Removes the credentials of the person of an erasure, which are retired: first the versions that
-- were not, so that none of them is ever the newest.
ALTER TABLE credentials
    DELETE WHERE organization_id = {organization:UUID}
      AND retired = {retired:Bool}
      AND user_id IN
      (
          SELECT user_id
          FROM erasures FINAL
          WHERE id = {erasure:UUID}
            AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
      )

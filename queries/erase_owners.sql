-- Takes the person of an erasure off the organization's agents, every version of them.
ALTER TABLE agents
    UPDATE owner_id = toUUID('00000000-0000-0000-0000-000000000000')
    WHERE organization_id = {organization:UUID}
      AND owner_id IN
      (
          SELECT user_id
          FROM erasures FINAL
          WHERE id = {erasure:UUID}
      )

-- Takes the person's id out of the older versions of an erasure that is done.
ALTER TABLE erasures
    DELETE WHERE id = {erasure:UUID}
        AND user_id != toUUID('00000000-0000-0000-0000-000000000000')

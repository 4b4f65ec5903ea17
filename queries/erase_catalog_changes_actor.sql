-- Replaces the person of an erasure as who made changes.
ALTER TABLE catalog_changes
    UPDATE actor = replaceAll(actor, assumeNotNull((
            SELECT anyOrNull(toString(user_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )), (
            SELECT toString(any(replacement_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
        ))
    WHERE position(actor, (
            SELECT anyOrNull(toString(user_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )) > 0

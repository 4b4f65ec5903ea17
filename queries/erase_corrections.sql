-- Replaces the person of an erasure in an organization's journal of corrections: as who corrected,
-- and in the entries, where a user is 16 bytes of its own.
ALTER TABLE corrections
    UPDATE
        entries = replaceAll(entries, assumeNotNull((
            SELECT anyOrNull(toString(UUIDStringToNum(toString(user_id))))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )), (
            SELECT toString(UUIDStringToNum(toString(any(replacement_id))))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
        )),
        actor = replaceAll(actor, assumeNotNull((
            SELECT anyOrNull(toString(user_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )), (
            SELECT toString(any(replacement_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
        )),
        reason = replaceAll(reason, assumeNotNull((
            SELECT anyOrNull(toString(user_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )), (
            SELECT toString(any(replacement_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
        ))
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

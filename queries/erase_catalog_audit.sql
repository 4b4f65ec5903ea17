-- Replaces the person of an erasure in the record of the catalog's changes: in the
-- organization's, and, if whole, which is when no other organization has the person as a member,
-- in the person's own. What a document said of the person and their credentials goes.
ALTER TABLE catalog_audit
    UPDATE
        before = multiIf(
            empty(before), '',
            kind IN ('user', 'credential'), '{"erased":true}',
            replaceAll(before, assumeNotNull((
            SELECT anyOrNull(toString(user_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )), (
            SELECT toString(any(replacement_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
        ))
        ),
        after = multiIf(
            empty(after), '',
            kind IN ('user', 'credential'), '{"erased":true}',
            replaceAll(after, assumeNotNull((
            SELECT anyOrNull(toString(user_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )), (
            SELECT toString(any(replacement_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
        ))
        ),
        id = replaceAll(id, assumeNotNull((
            SELECT anyOrNull(toString(user_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )), (
            SELECT toString(any(replacement_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
        ))
    WHERE (
        organization_id = {organization:UUID}
        OR {whole:Bool} AND (
            kind = 'user'
            OR organization_id = toUUID('00000000-0000-0000-0000-000000000000')
        )
      )
      AND position(concat(id, ' ', before, ' ', after), (
            SELECT anyOrNull(toString(user_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )) > 0

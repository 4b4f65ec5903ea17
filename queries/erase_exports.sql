-- Replaces the person of an erasure in what was asked for exports.
ALTER TABLE exports
    UPDATE
        requested_by = if(
            toString(requested_by) = assumeNotNull((
            SELECT anyOrNull(toString(user_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )), toUUID((
            SELECT toString(any(replacement_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
        )), requested_by),
        user_id = if(toString(user_id) = assumeNotNull((
            SELECT anyOrNull(toString(user_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )), toUUID((
            SELECT toString(any(replacement_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
        )), user_id),
        request = replaceAll(request, assumeNotNull((
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
      AND position(
        concat(toString(requested_by), ' ', toString(user_id), ' ', request), (
            SELECT anyOrNull(toString(user_id))
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
              AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
        )) > 0

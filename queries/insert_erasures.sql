-- A person's erasure, or its next version.
INSERT INTO erasures
(
    id,
    organization_id,
    subject,
    user_id,
    replacement_id,
    requested_at,
    done_at,
    version
)

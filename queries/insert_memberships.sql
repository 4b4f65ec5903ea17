-- Memberships, each a new version of its row.
INSERT INTO memberships
(
    organization_id,
    user_id,
    role,
    active,
    retired,
    version
)

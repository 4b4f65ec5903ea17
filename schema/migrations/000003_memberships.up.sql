-- A user's role in an organization. Engine as organizations; ordered by what identifies a row.
CREATE TABLE IF NOT EXISTS memberships
(
    organization_id UUID,
    user_id UUID,
    role Enum8('member' = 1, 'admin' = 2, 'superadmin' = 3),
    active Bool DEFAULT true,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (organization_id, user_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1

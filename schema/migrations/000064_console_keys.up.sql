-- What the console's session cookies are sealed with, on every node alike. Whoever reads the table
-- alone can make no session, because a cookie holds a credential, and those are kept as hashes. Nodes
-- may add a key at the same moment: all count, and new sessions take the oldest that is not retired.
-- MergeTree, because there is a row in three months. Kept until its last session has ended.
CREATE TABLE IF NOT EXISTS console_keys
(
    id UUID,
    secret String COMMENT '32 bytes of AES-256-GCM',
    created_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (created_at, id)
TTL toDateTime(created_at) + INTERVAL 91 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1

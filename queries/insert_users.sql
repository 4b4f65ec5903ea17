-- Users, each a new version of its row.
INSERT INTO users
(
    id,
    name,
    retired,
    version
)

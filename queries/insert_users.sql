-- Users, each a new version of its row.
INSERT INTO users
(
    id,
    name,
    email,
    retired,
    version
)

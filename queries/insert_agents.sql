-- Agents, each a new version of its row.
INSERT INTO agents
(
    id,
    organization_id,
    name,
    owner_id,
    retired,
    version
)

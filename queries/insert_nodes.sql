-- What a node says of itself.
INSERT INTO nodes
(
    node,
    said_at,
    stored,
    pending,
    swept_at,
    hold,
    stopped
)

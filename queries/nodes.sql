-- What did each node last say of itself?
SELECT
    node,
    said_at,
    stored,
    pending,
    swept_at,
    hold,
    stopped
FROM nodes FINAL
ORDER BY node

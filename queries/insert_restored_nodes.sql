-- Which events of a node's log a restored ledger does not have, and the log neither.
INSERT INTO restored_nodes
(
    ledger,
    node,
    first,
    last,
    said_at
)

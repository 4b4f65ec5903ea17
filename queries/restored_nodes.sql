-- Which events of the nodes' logs are in no restored ledger any more?
SELECT
    ledger,
    node,
    first,
    last
FROM restored_nodes FINAL
WHERE last >= first
ORDER BY
    node,
    first

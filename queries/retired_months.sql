-- Which months of organizations went, or are going, and how many events that were recorded in them?
SELECT
    m.organization_id AS organization_id,
    m.month AS month,
    m.done AS done,
    m.at AS at,
    s.events AS events
FROM
(
    SELECT
        organization_id,
        month,
        done,
        at
    FROM retired_months FINAL
) AS m
LEFT JOIN
(
    SELECT
        organization_id,
        month,
        sum(noted) AS events
    FROM
    (
        SELECT
            organization_id,
            month,
            toUInt64(groupBitmapMerge(sequences)) AS noted
        FROM retired_sequences
        GROUP BY
            organization_id,
            month,
            node,
            part
    )
    GROUP BY
        organization_id,
        month
) AS s ON s.organization_id = m.organization_id AND s.month = m.month
ORDER BY
    organization_id,
    month

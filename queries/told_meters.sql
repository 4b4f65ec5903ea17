-- Which meters was Stripe told of for hours since a time, and in what does each count: also those
-- that were retired since, and those that never were in the catalog, which count micro-USD.
SELECT
    name,
    toInt8(counts) AS unit_number
FROM
(
    SELECT DISTINCT toString(report_intents.meter) AS name
    FROM report_intents
    WHERE window_start >= {from:DateTime('UTC')}
) AS i
LEFT ANY JOIN
(
    SELECT
        meters.name AS known,
        CAST(unit AS Int8) AS counts
    FROM meters FINAL
) AS m ON m.known = i.name
ORDER BY name

-- The number of the newest batch of intents. Each part keeps its own, so that none is read.
SELECT max(batch) AS newest
FROM report_intents

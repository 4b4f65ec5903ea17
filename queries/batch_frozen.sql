-- Whose a batch of intents is. Each part keeps its batches apart from their rows.
SELECT
    batch,
    max(batch_id) AS winner
FROM report_intents
WHERE batch = {number:UInt64}
GROUP BY batch

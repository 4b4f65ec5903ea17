-- Each revision of each slot with the state that its outcomes make. Filters on the slot reach both
-- tables. Should two intents of one revision ever be there, every reader takes the same one.
CREATE VIEW IF NOT EXISTS report_revisions AS
SELECT
    organization_id,
    meter,
    window_start,
    revision,
    argMinIf(intent, (intended, written_by), side = 'intent') AS frozen,
    minIf(intended, side = 'intent') AS created_at,
    max(said) AS verdict,
    countIf(side = 'outcome' AND said < 30) AS attempts,
    countIf(said = 3) AS rotations,
    maxIf(said_at, side = 'outcome') AS last_at,
    countIf(side = 'intent') AS intents
FROM
(
    SELECT
        'intent' AS side,
        organization_id,
        meter,
        window_start,
        revision,
        CAST((toInt8(mode), total, send, identifier, customer, subscription_item, writer),
            'Tuple(mode Int8, total Int64, send Int64, identifier String,
                customer String, subscription_item String, writer UUID)') AS intent,
        report_intents.created_at AS intended,
        batch_id AS written_by,
        toInt8(0) AS said,
        toDateTime64(0, 6, 'UTC') AS said_at
    FROM report_intents
    UNION ALL
    SELECT
        'outcome' AS side,
        organization_id,
        meter,
        window_start,
        revision,
        CAST((0, 0, 0, '', '', '', toUUID('00000000-0000-0000-0000-000000000000')),
            'Tuple(mode Int8, total Int64, send Int64, identifier String,
                customer String, subscription_item String, writer UUID)') AS intent,
        toDateTime64(0, 6, 'UTC') AS intended,
        toUUID('00000000-0000-0000-0000-000000000000') AS written_by,
        toInt8(report_outcomes.verdict) AS said,
        at AS said_at
    FROM report_outcomes
)
GROUP BY
    organization_id,
    meter,
    window_start,
    revision

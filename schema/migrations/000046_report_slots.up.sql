-- What Stripe was told of each slot: its revisions, each with the state that its outcomes make.
-- Numbers only, so that hundreds of thousands of slots can be looked at every few minutes.
-- Filters on the slot reach both tables. An outcome's row holds what no intent's does.
CREATE VIEW IF NOT EXISTS report_slots AS
SELECT
    organization_id,
    meter,
    window_start,
    max(revision) AS latest,
    argMax(state, revision) AS latest_state,
    argMax(way, revision) AS latest_mode,
    argMaxIf(slot_total, revision, state >= 20 AND state < 30) AS set_units,
    argMaxIf(slot_total, revision, state >= 20 AND state < 30 AND way != 3)
        + sumIf(sent_units, state >= 20 AND state < 30 AND way = 3) AS added_units,
    maxIf(revision, state < 10 OR state >= 20 AND state < 30) AS newest_kept,
    groupArrayIf(revision, state IN (11, 12) OR state >= 30) AS failed,
    maxIf(heard_at, state IN (11, 12) OR state >= 30) AS failed_at,
    max(heard_at) AS said_at,
    groupArrayIf((revision, way, state, tries, turns, intended, heard_at), state < 10) AS open,
    countIf(state = 12) AS conflicts
FROM
(
    SELECT
        organization_id,
        meter,
        window_start,
        revision,
        argMin(total, made_at) AS slot_total,
        argMin(send, made_at) AS sent_units,
        argMin(how, made_at) AS way,
        min(made_at) AS intended,
        max(said) AS state,
        sum(tried) AS tries,
        sum(turned) AS turns,
        max(told_at) AS heard_at
    FROM
    (
        SELECT
            organization_id,
            meter,
            window_start,
            revision,
            total,
            send,
            toInt8(mode) AS how,
            toUnixTimestamp64Micro(created_at) AS made_at,
            toInt8(0) AS said,
            toUInt8(0) AS tried,
            toUInt8(0) AS turned,
            toInt64(0) AS told_at
        FROM report_intents
        UNION ALL
        SELECT
            organization_id,
            meter,
            window_start,
            revision,
            toInt64(0) AS total,
            toInt64(0) AS send,
            toInt8(0) AS how,
            toInt64(9223372036854775807) AS made_at,
            toInt8(verdict) AS said,
            toUInt8(verdict < 30) AS tried,
            toUInt8(verdict = 3) AS turned,
            toUnixTimestamp64Micro(at) AS told_at
        FROM report_outcomes
    )
    GROUP BY
        organization_id,
        meter,
        window_start,
        revision
)
GROUP BY
    organization_id,
    meter,
    window_start

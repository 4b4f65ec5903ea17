-- Removes outcomes of revisions that are not there: of a backup that was taken between the two.
ALTER TABLE report_outcomes
    DELETE WHERE (organization_id, meter, window_start, revision) NOT IN
    (
        SELECT
            organization_id,
            meter,
            window_start,
            revision
        FROM report_intents
    )

-- A correction, under a token of its organization and number: the first writer of a number wins.
INSERT INTO corrections
(
    organization_id,
    number,
    id,
    corrected_at,
    actor,
    reason,
    events,
    entries
)

-- Up to which number an organization's corrections are in the ledger and every rollup.
INSERT INTO corrections_applied
(
    organization_id,
    number
)

-- What a change of the catalog touched, a row for each thing.
INSERT INTO catalog_audit
(
    version,
    ordinal,
    changed_at,
    actor,
    organization_id,
    kind,
    id,
    action,
    before,
    after
)

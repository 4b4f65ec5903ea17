-- That the catalog changed: written last, it makes the change's rows seen.
INSERT INTO catalog_changes
(
    version,
    changed_at,
    actor,
    summary
)

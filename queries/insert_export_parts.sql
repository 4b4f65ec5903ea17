-- A part of an export that is whole.
INSERT INTO export_parts
(
    organization_id,
    export_id,
    attempt,
    part,
    name,
    rows,
    bytes,
    sha256,
    noted_at
)

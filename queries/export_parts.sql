-- The parts of exports that are whole, in order.
SELECT
    export_id,
    attempt,
    part,
    name,
    rows,
    bytes,
    sha256,
    noted_at
FROM export_parts FINAL
WHERE organization_id = {organization:UUID}
  AND export_id IN {exports:Array(UUID)}
ORDER BY
    export_id,
    attempt,
    part

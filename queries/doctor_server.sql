-- What of the server do we rely on?
SELECT
    version() AS server_version,
    timezone() AS zone,
    now64(6, 'UTC') AS now,
    (SELECT any(value) != '0' FROM system.settings WHERE name = 'readonly') AS read_only

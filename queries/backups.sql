-- How far is a backup, or a restore?
SELECT
    toString(status) AS state,
    substring(error, 1, 500) AS problem,
    num_files AS files,
    total_size AS bytes
FROM system.backups
WHERE id = {id:String}

-- Who has a piece of work.
SELECT holder
FROM report_leases
WHERE name = {name:String}

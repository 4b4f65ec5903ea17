-- How many rows and bytes has an object that was written?
SELECT
    count() AS rows,
    any(_size) AS bytes
FROM s3({url:String}, {key:String}, {secret:String}, {format:String}, 'event_id String')

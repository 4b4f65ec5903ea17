-- How many events with a key are there in the window?
SELECT count() AS events
FROM event_keys

DROP TABLE IF EXISTS event_places_view

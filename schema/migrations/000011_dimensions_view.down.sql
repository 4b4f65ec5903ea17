DROP TABLE IF EXISTS dimensions_view

DROP TABLE IF EXISTS restored_nodes

-- Is anybody there, and which version?
SELECT version() AS server

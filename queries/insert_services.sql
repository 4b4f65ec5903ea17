-- Services, each a new version of its row.
INSERT INTO services
(
    name,
    retired,
    version
)

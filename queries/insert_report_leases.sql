-- Who has a piece of work, under a token of its name: the first to ask.
INSERT INTO report_leases
(
    name,
    holder,
    at
)

-- A month of an organization that goes, or is gone.
INSERT INTO retired_months
(
    organization_id,
    month,
    done,
    at,
    version
)

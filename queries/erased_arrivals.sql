-- Has usage of a person come in who was forgotten? The organization's users of a subject.
SELECT user_id
FROM
(
    SELECT DISTINCT user_id
    FROM consumption_monthly
    WHERE organization_id = {organization:UUID}
)
WHERE lower(hex(SHA256(concat(toString({organization:UUID}), toString(user_id)))))
    = {subject:String}

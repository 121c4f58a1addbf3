-- The versions of a plan, for usage that was priced by several of them.

-- name: list_versions
-- In the order in which they take effect; of one time, the last published counts.
select id, effective_at from invoicing.plan_versions
where organization_id = :organization_id and plan_id = :plan_id
order by effective_at, version;

-- name: find_charges
select id, charges from invoicing.plan_versions where organization_id = :organization_id and id = any(:ids::uuid[]);

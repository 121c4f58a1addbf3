-- name: find_facts
-- What never changes of authorizations: whose they are, in which asset, and under which agreement they were priced.
select a.organization_id, a.id, a.customer_id, a.asset_code, a.plan_version_id, a.subscription_id,
    a.api_key_id, s.external_id as external_subscription_id, s.billing_time, s.subscription_at, p.interval,
    invoicing.zone_of(
        s.organization_id, c.timezone, coalesce(s.billing_entity_code, c.billing_entity_code)) as timezone
from unnest(:organization_ids::uuid[], :ids::uuid[]) as wanted (organization_id, id)
join wallet.authorizations a on a.organization_id = wanted.organization_id and a.id = wanted.id
left join invoicing.subscriptions s on s.organization_id = a.organization_id and s.id = a.subscription_id
left join invoicing.customers c on c.organization_id = s.organization_id and c.id = s.customer_id
left join invoicing.plans p on p.organization_id = s.organization_id and p.id = s.plan_id;

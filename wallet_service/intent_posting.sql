-- How intents come to their end.

-- name: conclude
-- An intent comes to its end, once: no row back means that someone else went on.
update wallet.operations o set state = done.state, intent = null,
    reply = case when done.state = 'posted' then o.reply end
from unnest(:organization_ids::uuid[], :kinds::text[], :keys::text[], :attempts::integer[], :states::text[])
    as done (organization_id, kind, key, attempt, state)
where o.organization_id = done.organization_id and o.kind = done.kind and o.key = done.key
  and o.state = 'open' and o.attempt = done.attempt
returning o.organization_id, o.kind, o.key;

-- name: open_intents
-- Intents that nobody seems to be working on any more, or all of some customers.
select o.organization_id, o.kind, o.key, o.id, o.customer_id, o.attempt, o.intent
from wallet.operations o
where o.state = 'open' and o.created_at < statement_timestamp() - make_interval(secs => :age_s::float8)
  and (:customer_ids::uuid[] is null or o.customer_id = any(:customer_ids::uuid[]))
order by o.created_at
limit :limit
for no key update of o skip locked;

-- What an event was charged and to whom, reversals, and the one change that an event may see: being rated late.
-- Adds nullable columns and replaces a trigger; holds an exclusive lock on invoicing.events for a moment.

alter table invoicing.events
    add column asset_code text,
    add column paid jsonb not null default '[]',
    add column reverses_event_id uuid,
    add column unrated_reason text;
comment on column invoicing.events.paid is
    'Per transfer: [transfer, grant, amount in minor units, 0, code]; the nil grant is overage.';
comment on column invoicing.events.reverses_event_id is 'The event whose charge this negative line takes back.';
create index events_reversals on invoicing.events (organization_id, reverses_event_id)
    where reverses_event_id is not null;

-- An event that could not be rated when it came is rated once, later; what was reported never changes.
create function invoicing.refuse_all_but_late_rating() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and old.rating_status = 'unrated' and new.rating_status <> 'unrated'
        and (new.organization_id, new.id, new.transaction_id, new.code, new.timestamp, new.properties,
             new.created_at)
            is not distinct from
            (old.organization_id, old.id, old.transaction_id, old.code, old.timestamp, old.properties,
             old.created_at)
    then
        return new;
    end if;
    raise exception 'invoicing.events is append-only: a correction is another event'
        using errcode = 'restrict_violation';
end
$$;
drop trigger append_only on invoicing.events;
create trigger append_only before update or delete on invoicing.events
    for each row execute function invoicing.refuse_all_but_late_rating();
grant update (customer_id, subscription_id, external_subscription_id, rating_status, plan_version_id, lines,
    asset_code, paid, unrated_reason, operation_id) on invoicing.events to wallet_committer;

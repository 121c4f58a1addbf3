-- What events were billed by themselves is found by their own times, and may be billed again by hand; invoices that a tax
-- service has failed are tried again; subscriptions with thresholds are not all looked at again by every leader; prefixes
-- of numbers are an entity's own. A new table; two columns of invoicing.invoices, which takes an exclusive lock on it for a
-- moment and rewrites nothing; indexes on invoicing.fees, invoicing.invoices and invoicing.billing_entities, which are
-- locked against writes while they are made.

drop index invoicing.fees_of_event;
create unique index fees_of_event on invoicing.fees (organization_id, subscription_id, charge_id, event_transaction_id,
    coalesce(charge_filter_id, '00000000-0000-0000-0000-000000000000'::uuid))
    where event_transaction_id is not null and deleted_at is null and original_fee_id is null;
comment on column invoicing.fees.original_fee_id is
    'The line of an earlier, sealed invoice that this one corrects: it has the difference. Of an event, which is billed by '
    'itself: the line of a voided invoice that this one bills again.';

create function invoicing.fees_in_advance(
    of_organization uuid, of_subscription uuid, window_start timestamptz, window_end timestamptz, since timestamptz)
returns setof invoicing.fees language sql stable as $$
    select f.*
    from invoicing.fees f
    left join invoicing.invoices i on i.organization_id = f.organization_id and i.id = f.invoice_id
    where f.organization_id = of_organization and f.subscription_id = of_subscription
      and f.event_transaction_id is not null
      and f.from_datetime >= since and f.from_datetime < window_end and f.to_datetime > window_start
      and (f.from_datetime >= window_start and f.to_datetime <= window_end
           or exists (
               select from invoicing.events e
               where e.organization_id = f.organization_id and e.transaction_id = f.event_transaction_id
                 and e.subscription_id = f.subscription_id and e.reverses_event_id is null
                 and e.timestamp >= window_start and e.timestamp < window_end))
      and (f.deleted_at is null and i.status is distinct from 'voided'
           or not exists (
               select from invoicing.fees n
               where n.organization_id = f.organization_id and n.subscription_id = f.subscription_id
                 and n.event_transaction_id = f.event_transaction_id and n.original_fee_id = f.id)
           and not exists (
               select from invoicing.events e
               join invoicing.events r on r.organization_id = e.organization_id and r.reverses_event_id = e.id
               where e.organization_id = f.organization_id and e.transaction_id = f.event_transaction_id
                 and e.subscription_id = f.subscription_id and e.reverses_event_id is null
                 and r.lines -> 0 ->> 'charge_id' is not null))
$$;
comment on function invoicing.fees_in_advance(uuid, uuid, timestamptz, timestamptz, timestamptz) is
    'What the events of a stretch of time were billed by themselves, each once: also what was voided or withdrawn, which '
    'is billed again by hand alone, unless the event was taken back. Where a fee was cut by another clock than the '
    'stretch, the event''s own time counts.';

alter table invoicing.billed_periods drop constraint billed_periods_pkey;
create unique index billed_periods_once on invoicing.billed_periods (organization_id, subscription_id, billing_at, reason)
    where reason <> 'in_advance_charge';
create index billed_periods_of_subscription on invoicing.billed_periods (organization_id, subscription_id, billing_at);
comment on index invoicing.billed_periods_once is
    'A moment is billed once. Events that are billed by themselves may be of one time: their invoices are told apart.';

alter table invoicing.invoices
    add column failed_tries int not null default 0,
    add column try_again_at timestamptz;
comment on column invoicing.invoices.failed_tries is 'How often a tax service did not say the taxes.';
comment on column invoicing.invoices.try_again_at is 'When it is asked again, while the invoice is `failed`.';
update invoicing.invoices set try_again_at = updated_at where status = 'failed';
create index invoices_failed on invoicing.invoices (try_again_at, id) where status = 'failed';

create table invoicing.threshold_looks (
    organization_id uuid        not null,
    subscription_id uuid        not null,
    thresholds_hash text        not null,
    sealed_xact_id  xid8        not null,
    looked_at       timestamptz not null,
    primary key (organization_id, subscription_id)
);
comment on table invoicing.threshold_looks is
    'When a subscription''s usage was compared with its thresholds last, with which, and which transactions'' events may '
    'not have been seen.';

update invoicing.billing_entities b
set document_number_prefix = document_number_prefix || '-' || upper(right(id::text, 6))
where exists (
    select from invoicing.billing_entities o
    where o.organization_id = b.organization_id and o.id < b.id
      and lower(o.document_number_prefix) = lower(b.document_number_prefix));
create unique index billing_entities_prefix
    on invoicing.billing_entities (organization_id, lower(document_number_prefix));

do $$
declare
    name text;
begin
    foreach name in array array['threshold_looks'] loop
        execute format('alter table invoicing.%I enable row level security', name);
        execute format('create policy tenant on invoicing.%I to wallet_api using (organization_id = '
                       'nullif(current_setting(''wallet.organization_id'', true), '''')::uuid)', name);
        execute format('create policy everyone on invoicing.%I to wallet_committer, wallet_worker using (true)', name);
    end loop;
end $$;

grant select, insert, update, delete on invoicing.threshold_looks to wallet_worker;

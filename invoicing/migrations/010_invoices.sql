-- Invoices and what they are made of. New tables, and columns with constant defaults for invoicing.customers and
-- invoicing.add_ons, which takes an exclusive lock on each for a moment and rewrites nothing.

alter table invoicing.customers add column invoice_custom_section_codes jsonb not null default '[]';
alter table invoicing.add_ons add column tax_codes jsonb not null default '[]';

create table invoicing.billing_entities (
    organization_id                            uuid        not null,
    id                                         uuid        not null,
    code                                       text        not null,
    name                                       text        not null,
    address_line1                              text,
    address_line2                              text,
    city                                       text,
    state                                      text,
    zipcode                                    text,
    country                                    text,
    email                                      text,
    phone                                      text,
    default_currency                           text,
    timezone                                   text,
    legal_name                                 text,
    legal_number                               text,
    tax_identification_number                  text,
    logo_url                                   text,
    document_numbering                         text        not null
        check (document_numbering in ('per_customer', 'per_billing_entity')),
    document_number_prefix                     text        not null,
    document_locale                            text        not null,
    finalize_zero_amount_invoice               boolean     not null,
    net_payment_term                           int         not null check (net_payment_term >= 0),
    invoice_footer                             text,
    invoice_grace_period                       int         not null check (invoice_grace_period >= 0),
    subscription_invoice_issuing_date_anchor     text      not null,
    subscription_invoice_issuing_date_adjustment text      not null,
    eu_tax_management                          boolean     not null,
    einvoicing                                 boolean     not null,
    email_settings                             jsonb       not null,
    tax_codes                                  jsonb       not null,
    invoice_custom_section_codes               jsonb       not null,
    is_default                                 boolean     not null,
    created_at                                 timestamptz not null,
    updated_at                                 timestamptz not null,
    primary key (organization_id, id),
    unique (organization_id, code)
);
create unique index billing_entities_default on invoicing.billing_entities (organization_id) where is_default;

create table invoicing.invoice_custom_sections (
    organization_id uuid        not null,
    id              uuid        not null,
    code            text        not null,
    name            text        not null,
    description     text,
    display_name    text,
    details         text,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    deleted_at      timestamptz,
    primary key (organization_id, id)
);
create unique index invoice_custom_sections_code on invoicing.invoice_custom_sections (organization_id, code)
    where deleted_at is null;

create table invoicing.taxes (
    organization_id uuid        not null,
    id              uuid        not null,
    code            text        not null,
    name            text        not null,
    description     text,
    rate            numeric     not null check (rate >= 0),
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    deleted_at      timestamptz,
    primary key (organization_id, id)
);
create unique index taxes_code on invoicing.taxes (organization_id, code) where deleted_at is null;

create table invoicing.coupons (
    organization_id       uuid        not null,
    id                    uuid        not null,
    code                  text        not null,
    name                  text        not null,
    description           text,
    coupon_type           text        not null check (coupon_type in ('fixed_amount', 'percentage')),
    amount_cents          bigint      check (amount_cents > 0),
    amount_currency       text,
    percentage_rate       numeric     check (percentage_rate > 0),
    frequency             text        not null check (frequency in ('once', 'recurring', 'forever')),
    frequency_duration    int         check (frequency_duration > 0),
    reusable              boolean     not null,
    expiration            text        not null check (expiration in ('no_expiration', 'time_limit')),
    expiration_at         timestamptz,
    plan_codes            jsonb       not null,
    billable_metric_codes jsonb       not null,
    terminated_at         timestamptz,
    created_at            timestamptz not null,
    updated_at            timestamptz not null,
    deleted_at            timestamptz,
    primary key (organization_id, id),
    check ((coupon_type = 'fixed_amount') = (amount_cents is not null and amount_currency is not null)),
    check ((coupon_type = 'percentage') = (percentage_rate is not null))
);
create unique index coupons_code on invoicing.coupons (organization_id, code) where deleted_at is null;
create index coupons_expiring on invoicing.coupons (expiration_at)
    where terminated_at is null and deleted_at is null and expiration_at is not null;

create table invoicing.applied_coupons (
    organization_id              uuid        not null,
    id                           uuid        not null,
    coupon_id                    uuid        not null,
    customer_id                  uuid        not null,
    status                       text        not null check (status in ('active', 'terminated')),
    amount_cents                 bigint,
    amount_cents_remaining       bigint      check (amount_cents_remaining between 0 and amount_cents),
    amount_currency              text,
    percentage_rate              numeric,
    frequency                    text        not null,
    frequency_duration           int,
    frequency_duration_remaining int,
    created_at                   timestamptz not null,
    updated_at                   timestamptz not null,
    terminated_at                timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, coupon_id) references invoicing.coupons,
    foreign key (organization_id, customer_id) references invoicing.customers
);
create index applied_coupons_of_customer on invoicing.applied_coupons (organization_id, customer_id) where status = 'active';
create index applied_coupons_of_coupon on invoicing.applied_coupons (organization_id, coupon_id);
comment on column invoicing.applied_coupons.amount_cents_remaining is
    'What invoices may still take of an amount that is given once; null for every other coupon.';

create table invoicing.invoices (
    organization_id                         uuid        not null,
    id                                      uuid        not null,
    customer_id                             uuid        not null,
    billing_entity_id                       uuid        not null,
    invoice_type                            text        not null check (invoice_type in
        ('subscription', 'one_off', 'credit', 'advance_charges', 'progressive_billing')),
    status                                  text        not null check (status in
        ('generating', 'open', 'draft', 'pending', 'failed', 'finalizing', 'finalized', 'closed', 'voided', 'deleted')),
    payment_status                          text        not null check (payment_status in ('pending', 'succeeded', 'failed')),
    currency                                text        not null,
    number                                  text        not null,
    sequential_id                           bigint,
    issuing_date                            date        not null,
    expected_finalization_date              date,
    payment_due_date                        date        not null,
    net_payment_term                        int         not null,
    timezone                                text        not null,
    fees_amount_cents                       bigint      not null default 0,
    progressive_billing_credit_amount_cents bigint      not null default 0,
    coupons_amount_cents                    bigint      not null default 0,
    taxes_amount_cents                      bigint      not null default 0,
    taxes_rate                              numeric     not null default 0,
    sub_total_excluding_taxes_amount_cents  bigint      not null default 0,
    sub_total_including_taxes_amount_cents  bigint      not null default 0,
    credit_notes_amount_cents               bigint      not null default 0,
    prepaid_credit_amount_cents             bigint      not null default 0,
    prepaid_granted_credit_amount_cents     bigint      not null default 0,
    prepaid_purchased_credit_amount_cents   bigint      not null default 0,
    debited_amount_minor                    numeric     not null default 0,
    total_amount_cents                      bigint      not null default 0,
    total_paid_amount_cents                 bigint      not null default 0,
    total_offsetted_credit_note_amount_cents bigint     not null default 0,
    applied_taxes                           jsonb       not null default '[]',
    custom_sections                         jsonb       not null default '[]',
    applied_usage_thresholds                jsonb       not null default '[]',
    metadata                                jsonb       not null default '[]',
    error_details                           jsonb       not null default '[]',
    customer_as_billed                      jsonb,
    entity_as_billing                       jsonb,
    settlement                              jsonb,
    content_hash                            bytea,
    sealed_at                               timestamptz,
    sealed_xact_id                          xid8,
    voided_invoice_id                       uuid,
    purchase_order_number                   text,
    self_billed                             boolean     not null default false,
    payment_overdue                         boolean     not null default false,
    payment_dispute_lost_at                 timestamptz,
    ready_for_payment                       boolean     not null default true,
    skip_charges                            boolean     not null default false,
    version_number                          int         not null default 1,
    revision                                int         not null default 1,
    tzdata_version                          text,
    finalized_at                            timestamptz,
    voided_at                               timestamptz,
    created_at                              timestamptz not null,
    updated_at                              timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references invoicing.customers,
    foreign key (organization_id, billing_entity_id) references invoicing.billing_entities,
    check (status <> 'finalized' or (finalized_at is not null and content_hash is not null))
);
comment on table invoicing.invoices is
    'What a customer is asked to pay. `finalizing`: its amounts are fixed and the ledger is asked; what follows is its number.';
comment on column invoicing.invoices.debited_amount_minor is
    'What events had debited in real time of the usage on it, in the smallest unit of the currency''s asset: part of prepaid_credit.';
comment on column invoicing.invoices.settlement is 'What the ledger booked when it was finalised: which grants paid, the true-up, the rest.';
comment on column invoicing.invoices.revision is 'Rises with every recomputation and edit: who finalises names the one that was read.';
create index invoices_of_customer on invoicing.invoices (organization_id, customer_id, created_at);
create index invoices_listed on invoicing.invoices (organization_id, issuing_date desc, created_at desc, id);
create unique index invoices_number on invoicing.invoices (organization_id, number)
    where status in ('finalized', 'voided');
create index invoices_to_finalize on invoicing.invoices (expected_finalization_date) where status = 'draft';
create index invoices_unfinished on invoicing.invoices (updated_at) where status in ('generating', 'finalizing');
create index invoices_overdue on invoicing.invoices (payment_due_date)
    where status = 'finalized' and payment_status <> 'succeeded' and not payment_overdue;

create table invoicing.fees (
    organization_id              uuid        not null,
    id                           uuid        not null,
    invoice_id                   uuid,
    customer_id                  uuid        not null,
    subscription_id              uuid,
    fee_type                     text        not null check (fee_type in
        ('subscription', 'charge', 'fixed_charge', 'commitment', 'add_on', 'credit')),
    position                     int         not null default 0,
    charge_id                    uuid,
    charge_filter_id             uuid,
    fixed_charge_id              uuid,
    add_on_id                    uuid,
    wallet_transaction_id        uuid,
    true_up_parent_fee_id        uuid,
    original_fee_id              uuid,
    item_code                    text        not null,
    item_name                    text        not null,
    invoice_display_name         text,
    filter_display_name          text,
    description                  text,
    billable_metric_code         text,
    pricing_group                jsonb       not null default '{}',
    units                        numeric     not null default 0,
    total_aggregated_units       numeric,
    events_count                 bigint,
    amount_cents                 bigint      not null,
    precise_amount_cents         numeric     not null,
    precise_unit_amount          numeric     not null default 0,
    amount_currency              text        not null,
    tax_codes                    jsonb       not null default '[]',
    precise_coupons_amount_cents numeric     not null default 0,
    taxes_amount_cents           bigint      not null default 0,
    taxes_precise_amount_cents   numeric     not null default 0,
    taxes_rate                   numeric     not null default 0,
    applied_taxes                jsonb       not null default '[]',
    amount_details               jsonb       not null default '{}',
    presentation_breakdowns      jsonb       not null default '[]',
    pricing_unit_details         jsonb,
    debited_minor                numeric     not null default 0,
    pay_in_advance               boolean     not null default false,
    invoiceable                  boolean     not null default true,
    is_adjusted                  boolean     not null default false,
    adjustment                   jsonb,
    event_transaction_id         text,
    from_datetime                timestamptz,
    to_datetime                  timestamptz,
    payment_status               text        not null default 'pending'
        check (payment_status in ('pending', 'succeeded', 'failed', 'refunded')),
    succeeded_at                 timestamptz,
    failed_at                    timestamptz,
    refunded_at                  timestamptz,
    created_at                   timestamptz not null,
    updated_at                   timestamptz not null,
    deleted_at                   timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, invoice_id) references invoicing.invoices,
    foreign key (organization_id, customer_id) references invoicing.customers
);
comment on table invoicing.fees is
    'A line of an invoice; one without an invoice was billed by an event, to be paid apart. Amounts are before coupons and taxes.';
comment on column invoicing.fees.original_fee_id is
    'The line of an earlier, sealed invoice that this one corrects: it has the difference.';
create index fees_of_invoice on invoicing.fees (organization_id, invoice_id, position);
create index fees_of_subscription on invoicing.fees (organization_id, subscription_id, from_datetime);
create index fees_of_customer on invoicing.fees (organization_id, customer_id, created_at);
create unique index fees_of_event on invoicing.fees (organization_id, subscription_id, charge_id, event_transaction_id,
    coalesce(charge_filter_id, '00000000-0000-0000-0000-000000000000'::uuid))
    where event_transaction_id is not null and deleted_at is null;

create table invoicing.billed_periods (
    organization_id       uuid        not null,
    subscription_id       uuid        not null,
    billing_at            timestamptz not null,
    reason                text        not null check (reason in
        ('subscription_starting', 'subscription_periodic', 'subscription_terminating', 'subscription_trial_ended',
         'fixed_charge_units_changed', 'progressive_billing', 'in_advance_charge')),
    invoice_id            uuid,
    plan_id               uuid        not null,
    from_at               timestamptz,
    to_at                 timestamptz,
    charges_from_at       timestamptz,
    charges_to_at         timestamptz,
    fixed_charges_from_at timestamptz,
    fixed_charges_to_at   timestamptz,
    sealed_xact_id        xid8,
    created_at            timestamptz not null,
    primary key (organization_id, subscription_id, billing_at, reason),
    foreign key (organization_id, subscription_id) references invoicing.subscriptions,
    foreign key (organization_id, invoice_id) references invoicing.invoices
);
comment on table invoicing.billed_periods is
    'The unit of work of the billing run: one row for each moment at which a subscription is billed, made with its invoice, never twice. '
    'from_at to to_at is what the plan''s own amount is for, the others what usage and fixed charges are for; half-open.';
create index billed_periods_of_invoice on invoicing.billed_periods (organization_id, invoice_id);
create index billed_periods_of_charges on invoicing.billed_periods (organization_id, subscription_id, charges_from_at);

create table invoicing.invoice_credits (
    organization_id uuid        not null,
    id              uuid        not null,
    invoice_id      uuid        not null,
    kind            text        not null check (kind in ('coupon', 'credit_note', 'progressive_billing')),
    source_id       uuid        not null,
    item_code       text        not null,
    item_name       text        not null,
    amount_cents    bigint      not null,
    amount_currency text        not null,
    before_taxes    boolean     not null,
    created_at      timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, invoice_id) references invoicing.invoices
);
comment on table invoicing.invoice_credits is
    'What lowered an invoice: source_id is the applied coupon, the credit note, or the progressive billing invoice.';
create index invoice_credits_of_invoice on invoicing.invoice_credits (organization_id, invoice_id);
create index invoice_credits_of_source on invoicing.invoice_credits (organization_id, source_id);

create table invoicing.credit_notes (
    organization_id                        uuid        not null,
    id                                     uuid        not null,
    invoice_id                             uuid        not null,
    customer_id                            uuid        not null,
    billing_entity_id                      uuid        not null,
    status                                 text        not null check (status in ('draft', 'finalizing', 'finalized')),
    step                                   text        check (step in ('issue', 'refund', 'void')),
    number                                 text        not null,
    sequential_id                          bigint,
    credit_status                          text        check (credit_status in ('available', 'consumed', 'voided')),
    refund_status                          text        check (refund_status in ('pending', 'succeeded', 'failed')),
    reason                                 text        not null check (reason in
        ('duplicated_charge', 'product_unsatisfactory', 'order_change', 'order_cancellation', 'fraudulent_charge', 'other')),
    description                            text,
    currency                               text        not null,
    issuing_date                           date        not null,
    total_amount_cents                     bigint      not null,
    credit_amount_cents                    bigint      not null,
    balance_amount_cents                   bigint      not null check (balance_amount_cents >= 0),
    refund_amount_cents                    bigint      not null,
    offset_amount_cents                    bigint      not null,
    voided_amount_cents                    bigint      not null default 0,
    taxes_amount_cents                     bigint      not null,
    taxes_rate                             numeric     not null,
    sub_total_excluding_taxes_amount_cents bigint      not null,
    coupons_adjustment_amount_cents        bigint      not null,
    applied_taxes                          jsonb       not null default '[]',
    metadata                               jsonb       not null default '{}',
    settlement                             jsonb,
    request_hash                           bytea,
    refunded_at                            timestamptz,
    voided_at                              timestamptz,
    created_at                             timestamptz not null,
    updated_at                             timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, invoice_id) references invoicing.invoices,
    foreign key (organization_id, customer_id) references invoicing.customers
);
comment on column invoicing.credit_notes.step is
    'What the ledger is being asked: whoever finds it there asks again, under the same key.';
comment on column invoicing.credit_notes.voided_amount_cents is 'The part of its credit that nobody used and that was taken back.';
create index credit_notes_unfinished on invoicing.credit_notes (updated_at) where step is not null;
create index credit_notes_of_invoice on invoicing.credit_notes (organization_id, invoice_id);
create index credit_notes_available on invoicing.credit_notes (organization_id, customer_id, created_at)
    where credit_status = 'available';
create unique index credit_notes_number on invoicing.credit_notes (organization_id, number) where status = 'finalized';

create table invoicing.credit_note_items (
    organization_id      uuid        not null,
    id                   uuid        not null,
    credit_note_id       uuid        not null,
    fee_id               uuid        not null,
    amount_cents         bigint      not null check (amount_cents >= 0),
    precise_amount_cents numeric     not null,
    amount_currency      text        not null,
    created_at           timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, credit_note_id) references invoicing.credit_notes,
    -- A draft's lines are computed anew under the same ids.
    foreign key (organization_id, fee_id) references invoicing.fees deferrable initially deferred
);
create index credit_note_items_of_note on invoicing.credit_note_items (organization_id, credit_note_id);
create index credit_note_items_of_fee on invoicing.credit_note_items (organization_id, fee_id);

create table invoicing.payments (
    organization_id     uuid        not null,
    id                  uuid        not null,
    invoice_id          uuid        not null,
    customer_id         uuid        not null,
    amount_cents        bigint      not null check (amount_cents > 0),
    amount_currency     text        not null,
    payment_status      text        not null check (payment_status in ('pending', 'processing', 'succeeded', 'failed')),
    payment_type        text        not null check (payment_type in ('manual', 'provider')),
    provider            text        not null,
    reference           text        not null,
    external_payment_id text,
    request_hash        bytea,
    paid_at             timestamptz,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, invoice_id) references invoicing.invoices,
    foreign key (organization_id, customer_id) references invoicing.customers
);
create index payments_unfinished on invoicing.payments (updated_at) where payment_status = 'processing';
create index payments_of_invoice on invoicing.payments (organization_id, invoice_id);
create index payments_of_customer on invoicing.payments (organization_id, customer_id, created_at);

create table invoicing.payment_receipts (
    organization_id   uuid        not null,
    id                uuid        not null,
    payment_id        uuid        not null,
    billing_entity_id uuid        not null,
    number            text        not null,
    created_at        timestamptz not null,
    primary key (organization_id, id),
    unique (organization_id, payment_id),
    unique (organization_id, number),
    foreign key (organization_id, payment_id) references invoicing.payments
);

create table invoicing.number_series (
    organization_id uuid   not null,
    series          text   not null,
    last            bigint not null,
    primary key (organization_id, series)
);
comment on table invoicing.number_series is
    'The last number that each series has given: taken in the transaction that finalises, so that no number is ever missing.';

create table invoicing.outbox (
    organization_id uuid        not null,
    id              uuid        not null,
    webhook_type    text        not null,
    object_type     text        not null,
    object_id       uuid        not null,
    payload         jsonb       not null,
    xact_id         xid8        not null default pg_current_xact_id(),
    created_at      timestamptz not null,
    primary key (organization_id, id)
);
comment on table invoicing.outbox is 'What the world is to be told, written in the transaction in which it happened.';
create index outbox_in_order on invoicing.outbox (xact_id, id);

create function invoicing.keep_final_invoice() returns trigger language plpgsql as $$
begin
    if old.status in ('finalized', 'voided') and (
        new.customer_id, new.billing_entity_id, new.invoice_type, new.currency, new.number, new.issuing_date,
        new.fees_amount_cents, new.progressive_billing_credit_amount_cents, new.coupons_amount_cents,
        new.taxes_amount_cents, new.sub_total_including_taxes_amount_cents, new.credit_notes_amount_cents,
        new.prepaid_credit_amount_cents, new.debited_amount_minor, new.total_amount_cents, new.applied_taxes,
        new.customer_as_billed, new.entity_as_billing, new.content_hash, new.finalized_at
    ) is distinct from (
        old.customer_id, old.billing_entity_id, old.invoice_type, old.currency, old.number, old.issuing_date,
        old.fees_amount_cents, old.progressive_billing_credit_amount_cents, old.coupons_amount_cents,
        old.taxes_amount_cents, old.sub_total_including_taxes_amount_cents, old.credit_notes_amount_cents,
        old.prepaid_credit_amount_cents, old.debited_amount_minor, old.total_amount_cents, old.applied_taxes,
        old.customer_as_billed, old.entity_as_billing, old.content_hash, old.finalized_at
    ) then
        raise exception 'invoice % is final', old.id using errcode = 'insufficient_privilege';
    end if;
    if old.status = 'voided' and new.status <> 'voided' or old.status = 'finalized' and new.status not in ('finalized', 'voided') then
        raise exception 'invoice % is final', old.id using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$;
create trigger keep_final before update on invoicing.invoices
    for each row execute function invoicing.keep_final_invoice();
create trigger append_only before update on invoicing.outbox
    for each row execute function invoicing.refuse_change();

do $$
declare
    name text;
begin
    foreach name in array array[
        'billing_entities', 'invoice_custom_sections', 'taxes', 'coupons', 'applied_coupons', 'invoices', 'fees',
        'billed_periods', 'invoice_credits', 'credit_notes', 'credit_note_items', 'payments', 'payment_receipts',
        'number_series', 'outbox'
    ] loop
        execute format('alter table invoicing.%I enable row level security', name);
        execute format('create policy tenant on invoicing.%I to wallet_api using (organization_id = '
                       'nullif(current_setting(''wallet.organization_id'', true), '''')::uuid)', name);
        execute format('create policy everyone on invoicing.%I to wallet_committer, wallet_worker using (true)', name);
    end loop;
end $$;

grant select, insert, update on invoicing.billing_entities, invoicing.invoice_custom_sections, invoicing.taxes,
    invoicing.coupons, invoicing.applied_coupons, invoicing.invoices, invoicing.credit_notes, invoicing.payments,
    invoicing.number_series, invoicing.billed_periods to wallet_api, wallet_worker;
grant select, insert, update, delete on invoicing.fees, invoicing.invoice_credits, invoicing.credit_note_items
    to wallet_api, wallet_worker;
grant select, insert on invoicing.payment_receipts, invoicing.outbox to wallet_api, wallet_worker;

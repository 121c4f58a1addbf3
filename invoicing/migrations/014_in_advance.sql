-- Charges that are paid in advance: how far events were looked at for them. A new table, and an index on
-- invoicing.fees, which is locked against writes while it is made. What came before is billed at its period's end.

create table invoicing.advance_marks (
    only_row     boolean not null primary key default true check (only_row),
    billed_below xid8    not null
);
comment on table invoicing.advance_marks is
    'Events of all transactions below this one were billed in advance, as far as their charges are.';
insert into invoicing.advance_marks (billed_below) values (pg_snapshot_xmin(pg_current_snapshot()));

create index fees_in_advance on invoicing.fees (organization_id, subscription_id, event_transaction_id)
    where event_transaction_id is not null;
create index fees_to_regroup on invoicing.fees (organization_id, customer_id, to_datetime)
    where event_transaction_id is not null and invoice_id is null and payment_status = 'succeeded';

grant select, update on invoicing.advance_marks to wallet_worker;

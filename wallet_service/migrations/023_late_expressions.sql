-- What may be filled in late of an event has one more column: the property that an expression computes. The trigger of
-- invoicing.events lets a late rating through with that one property, and nothing else.
-- Replaces a view; locks nothing for longer than that.

create or replace view wallet.append_only_tables as
select c.oid::regclass as relation, c.relispartition as is_partition,
       case when n.nspname = 'invoicing' then array[
           'customer_id', 'subscription_id', 'external_customer_id', 'external_subscription_id', 'rating_status',
           'plan_version_id', 'lines', 'asset_code', 'paid', 'unrated_reason', 'operation_id', 'properties'
       ] else '{}' end::name[] as late_columns
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where (n.nspname, c.relname) in (
        ('ledger', 'transfers'), ('ledger', 'accounts'), ('ledger', 'burnt_ids'), ('invoicing', 'events'))
   or c.oid in (select inhrelid from pg_inherits where inhparent = 'invoicing.events'::regclass);

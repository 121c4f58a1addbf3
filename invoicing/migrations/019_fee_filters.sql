-- Fees say which values of their filter they are for, as they were when they were billed (`item.filters`). Fees from
-- before say nothing. Adds a column without a default: rewrites nothing, and holds the table for a moment.

alter table invoicing.fees add column filter_values jsonb;
comment on column invoicing.fees.filter_values is 'The values of the charge''s filter, by key; null without a filter.';

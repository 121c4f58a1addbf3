-- name: last_seal$
-- As of when the usage of invoices was read last.
select max(sealed_xact_id)::text::bigint from invoicing.billed_periods
where organization_id = :organization_id and invoice_id = any(:invoice_ids::uuid[]);

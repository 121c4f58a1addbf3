-- The changes of units that 026 says periods have billed belong to the invoices that billed them, so that whoever voids
-- such an invoice and makes it again bills them again. Updates rows of 026 alone, which nobody else writes: they name no
-- invoice and say of no moment what it bills. Locks these rows, and reads the table once.

update invoicing.billed_periods changed
set invoice_id = b.invoice_id,
    moment = case when jsonb_typeof(b.moment -> 'fixed_charges_in_arrears') = 'object' then jsonb_build_object(
        'reason', 'fixed_charge_units_changed',
        'billing_at', to_char(changed.billing_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'fixed_charges_added', b.moment -> 'fixed_charges_in_arrears') else '{}' end
from invoicing.billed_periods b
where changed.reason = 'fixed_charge_units_changed' and changed.invoice_id is null and changed.moment = '{}'
  and b.organization_id = changed.organization_id and b.subscription_id = changed.subscription_id
  and b.reason in ('subscription_periodic', 'subscription_terminating')
  and b.fixed_charges_to_at <= b.billing_at
  and changed.billing_at >= b.fixed_charges_from_at and changed.billing_at < b.fixed_charges_to_at;

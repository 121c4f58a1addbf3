-- Billing looks for the units of a plan's fixed charges, of many subscriptions at once, each of which may have a plan of its
-- own. One index, which holds off writers of the table for as long as building it takes.

create index fixed_charge_units_of_plan on invoicing.fixed_charge_units (organization_id, plan_id, effective_at);

-- An event that is rated late gets the property that its metric's expression computes, as an event that is rated when it
-- comes does: so a rated event always has the properties it was rated by.
-- Replaces a trigger's function; locks nothing.

create or replace function invoicing.refuse_all_but_late_rating() returns trigger language plpgsql as $$
declare
    computed text[];
begin
    if tg_op = 'UPDATE' and old.rating_status = 'unrated' and new.rating_status <> 'unrated'
        and (new.organization_id, new.id, new.transaction_id, new.code, new.timestamp, new.created_at)
            is not distinct from
            (old.organization_id, old.id, old.transaction_id, old.code, old.timestamp, old.created_at)
    then
        computed := array(
            select p.key from jsonb_each(new.properties) p where p.value is distinct from old.properties -> p.key);
        if cardinality(computed) <= 1 and new.properties - computed = old.properties - computed then
            return new;
        end if;
    end if;
    raise exception 'invoicing.events is append-only: a correction is another event'
        using errcode = 'restrict_violation';
end
$$;
grant update (properties) on invoicing.events to wallet_committer;

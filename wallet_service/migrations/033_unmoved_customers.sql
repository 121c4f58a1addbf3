-- A batch that was judged without locks is written for those of its customers that have not moved since they were read;
-- the others' operations are judged again. Until now one that had moved was in the way of all.
-- A new function beside the one that processes of the release before call: locks nothing.

-- What is written is said in `wallet.write_unmoved`; `transfer_customers` has the place of each transfer's customer.
-- Answers the places of the customers that have moved, or are locked: nothing of theirs is kept. Raises
-- serialization_failure where anything else that was taken for granted is not so, and then nothing is kept at all.
create function wallet.write_those_unmoved(
    customers wallet.version_read[], operations wallet.new_operation[], authorizations wallet.authorization_now[],
    events invoicing.new_event[], transfers ledger.new_transfer[], balances ledger.moved_balance[],
    transfer_customers integer[]
) returns integer[] language plpgsql as $$
declare
    places        integer[];
    organizations uuid[];
    kept          uuid[];
    moved         integer[] := '{}';
    written       bigint;
    summed        bigint;
begin
    -- Judged before a stall of the process that asks: what it took for its present is past, and holds that it makes may
    -- be over already.
    if (operations[1]).created_at < clock_timestamp() - interval '10 seconds' then
        raise serialization_failure using message = 'judged too long ago';
    end if;

    with unmoved as (
        select v.organization_id, v.customer_id, read.place
        from wallet.customer_versions v
        join unnest(customers) with ordinality as read (organization_id, customer_id, version, place)
            using (organization_id, customer_id)
        where v.version = read.version
        order by v.organization_id, v.customer_id
        for no key update of v skip locked
    ),
    counted as (
        update wallet.customer_versions v set version = v.version + 1
        from unmoved
        where v.organization_id = unmoved.organization_id and v.customer_id = unmoved.customer_id
        returning v.organization_id, v.customer_id, unmoved.place
    )
    select array_agg(place), array_agg(organization_id), array_agg(customer_id) into places, organizations, kept
    from counted;

    if kept is null then
        return array(select generate_subscripts(customers, 1));
    end if;
    if cardinality(kept) < cardinality(customers) then
        moved := array(select place from generate_subscripts(customers, 1) as place where place <> all(places));
        operations := array(
            select o from unnest(operations) as o
            where (o.organization_id, o.customer_id) in (select * from unnest(organizations, kept)));
        authorizations := array(
            select a from unnest(authorizations) as a
            where (a.organization_id, a.customer_id) in (select * from unnest(organizations, kept)));
        events := array(
            select e from unnest(events) as e
            where (e.organization_id, e.customer_id) in (select * from unnest(organizations, kept)));
        transfers := array(
            select row(t.id, t.debit_account_id, t.credit_account_id, t.amount, t.released, t.ledger, t.code, t.phase,
                t.flags, t.pending_id, t.user_data_128, t.user_data_64, t.user_data_32, t.timeout_s, t.expires_at,
                t.timestamp, t.claims_hold)::ledger.new_transfer
            from rows from (unnest(transfers), unnest(transfer_customers)) with ordinality as t (
                id, debit_account_id, credit_account_id, amount, released, ledger, code, phase, flags, pending_id,
                user_data_128, user_data_64, user_data_32, timeout_s, expires_at, timestamp, claims_hold, place, number)
            where t.place = any(places)
            order by t.number);
        balances := array(
            select b from unnest(balances) as b
            where b.account_id in (
                select account_id from unnest(transfers) as t,
                    lateral (values (t.debit_account_id), (t.credit_account_id)) as side (account_id)));
    end if;

    insert into wallet.operations (
        organization_id, kind, key, id, customer_id, authorization_id, body_hash, state, attempt, intent, reply,
        created_at)
    select * from unnest(operations)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> cardinality(operations) then
        raise serialization_failure using message = 'a key was used before';
    end if;

    if cardinality(authorizations) > 0 then
        insert into wallet.authorizations (
            organization_id, id, customer_id, external_customer_id, transaction_id, status, asset_code, amount_minor,
            captured_minor, overage_minor, refunded_minor, subscription_id, plan_version_id, items, legs, paid, step,
            expires_at, created_at, ended_at, api_key_id, budgets)
        select * from unnest(authorizations)
        on conflict (organization_id, id) do update set
            status = excluded.status, amount_minor = excluded.amount_minor, captured_minor = excluded.captured_minor,
            overage_minor = excluded.overage_minor, refunded_minor = excluded.refunded_minor, items = excluded.items,
            legs = excluded.legs, paid = excluded.paid, step = excluded.step, expires_at = excluded.expires_at,
            ended_at = excluded.ended_at, budgets = excluded.budgets;
    end if;

    if cardinality(events) > 0 then
        insert into invoicing.events (
            organization_id, id, transaction_id, customer_id, external_customer_id, subscription_id,
            external_subscription_id, code, timestamp, properties, precise_total_amount_cents, rating_status,
            plan_version_id, lines, operation_id, created_at, asset_code, paid, reverses_event_id, unrated_reason)
        select * from unnest(events);
    end if;

    if cardinality(transfers) > 0 then
        select book.booked, book.moved into written, summed from ledger.book(transfers, balances) as book;
        if written <> cardinality(transfers) or summed <> cardinality(balances) then
            raise serialization_failure using message = 'a transfer, a hold or a balance is not as it was read';
        end if;
    end if;
    return moved;
end
$$;
revoke execute on function wallet.write_those_unmoved from public;
grant execute on function wallet.write_those_unmoved to wallet_committer;

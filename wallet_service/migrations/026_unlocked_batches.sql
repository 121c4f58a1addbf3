-- A batch that was judged without locks is written, with its events, by one statement that is its own transaction: the
-- locks are taken there, and it is refused where a customer has moved since it was read.
-- A new type and a function: locks nothing.

create type wallet.version_read as (
    organization_id uuid,
    customer_id     uuid,
    version         bigint
);
comment on type wallet.version_read is 'A customer, and its version when it was read.';

-- Whatever moves something of a customer's counts its version up under the lock on that row. So a version that is under
-- lock what it was when it was read says that all else is as it was read. Raises serialization_failure where that, or
-- anything else that was taken for granted, is not so: the caller locks, looks again and judges again.
create function wallet.write_unmoved(
    customers wallet.version_read[], operations wallet.new_operation[], authorizations wallet.authorization_now[],
    events invoicing.new_event[], transfers ledger.new_transfer[], balances ledger.moved_balance[]
) returns void language plpgsql as $$
declare
    written bigint;
    moved   bigint;
begin
    -- Judged before a stall of the process that asks: what it took for its present is past, and holds that it makes may
    -- be over already.
    if (operations[1]).created_at < clock_timestamp() - interval '10 seconds' then
        raise serialization_failure using message = 'judged too long ago';
    end if;

    with unmoved as (
        select v.organization_id, v.customer_id
        from wallet.customer_versions v
        join unnest(customers) as read using (organization_id, customer_id)
        where v.version = read.version
        order by v.organization_id, v.customer_id
        for no key update of v skip locked
    )
    update wallet.customer_versions v set version = v.version + 1
    from unmoved
    where v.organization_id = unmoved.organization_id and v.customer_id = unmoved.customer_id;
    get diagnostics written = row_count;
    if written <> cardinality(customers) then
        raise serialization_failure using message = 'customers have moved, or are busy', detail = (
            select string_agg(read.customer_id::text, ',')
            from unnest(customers) as read
            where not exists (
                select from wallet.customer_versions v
                where v.organization_id = read.organization_id and v.customer_id = read.customer_id
                  and v.xmin = pg_current_xact_id()::xid));
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
        select book.booked, book.moved into written, moved from ledger.book(transfers, balances) as book;
        if written <> cardinality(transfers) or moved <> cardinality(balances) then
            raise serialization_failure using message = 'a transfer, a hold or a balance is not as it was read';
        end if;
    end if;
end
$$;
revoke execute on function wallet.write_unmoved from public;
grant execute on function wallet.write_unmoved to wallet_committer;

-- What a subscription was to be paid by that is given up is not asked for any more: finds those without looking at all
-- that were canceled. One index, which holds off writers of subscriptions for as long as building it takes.

create index subscriptions_given_up on invoicing.subscriptions (canceled_at)
    where status = 'canceled' and activation_rules <> '[]';

-- name: find_secret$
select secret from wallet.document_secrets where organization_id = :organization_id;

-- name: insert_secret!
-- The first one stays, whoever else makes one at the same time.
insert into wallet.document_secrets (organization_id, secret, created_at)
values (:organization_id, :secret, :created_at)
on conflict do nothing;

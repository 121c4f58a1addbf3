-- name: insert_message!
insert into invoicing.outbox (organization_id, id, webhook_type, object_type, object_id, payload, created_at)
values (:organization_id, :id, :webhook_type, :object_type, :object_id, :payload::jsonb, :created_at);

-- name: insert_messages!
insert into invoicing.outbox (organization_id, id, webhook_type, object_type, object_id, payload, created_at)
select organization_id, id, webhook_type, object_type, object_id, payload, created_at
from jsonb_to_recordset(:rows::jsonb) as r (
    organization_id uuid, id uuid, webhook_type text, object_type text, object_id uuid, payload jsonb,
    created_at timestamptz);

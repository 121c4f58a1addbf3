-- name: insert_message!
insert into invoicing.outbox (organization_id, id, webhook_type, object_type, object_id, payload, created_at)
values (:organization_id, :id, :webhook_type, :object_type, :object_id, :payload::jsonb, :created_at);

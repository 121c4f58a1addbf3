-- name: delete_old_changes(limit)
delete from invoicing.catalogue_changes c
using (
    select organization_id, version from invoicing.catalogue_changes
    where changed_at < statement_timestamp() - interval '1 hour'
    order by changed_at
    limit :limit
) old
where c.organization_id = old.organization_id and c.version = old.version
returning 1;

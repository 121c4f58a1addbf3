-- name: current_version$
select version from invoicing.catalogue_versions where organization_id = :organization_id;

-- name: current_versions
select organization_id, version from invoicing.catalogue_versions;

-- name: bump_version$
insert into invoicing.catalogue_versions (organization_id, version) values (:organization_id, 1)
on conflict (organization_id) do update set version = catalogue_versions.version + 1
returning version;

-- name: lock_version!
-- Takes the row's lock, which every change of the catalogue takes first, and moves nothing.
insert into invoicing.catalogue_versions (organization_id, version) values (:organization_id, 0)
on conflict (organization_id) do update set version = catalogue_versions.version;

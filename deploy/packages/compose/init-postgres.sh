#!/bin/bash
# Run once by the postgres image, on an empty volume: the roles, each with its password.
set -euo pipefail

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --file /roles.sql
for role in api processor; do
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
        --set password="$(cat "/run/secrets/${role}_password")" \
        <<<"ALTER ROLE rollcall_$role PASSWORD :'password'"
done

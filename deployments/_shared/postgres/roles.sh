#!/bin/sh
# Makes the users of the database: by PostgreSQL's image when it makes its data folder, or by hand
# where psql reaches a server as a superuser (PGHOST, PGUSER and so on say which); with COMPOSE=1 in
# the service of the deployment in this folder:
#   PASSWORDS=secrets ../_shared/postgres/roles.sh
#   COMPOSE=1 ../_shared/postgres/roles.sh
set -eu
if [ "${COMPOSE:-}" = 1 ]; then
  # shellcheck disable=SC2016
  exec docker compose exec -T postgres sh -c 'PGHOST=127.0.0.1 \
    PGPASSWORD="$(cat /run/secrets/db_admin_password)" exec /docker-entrypoint-initdb.d/roles.sh'
fi
export PASSWORDS="${PASSWORDS:-/run/secrets}"
for name in owner writer reader; do
  if [ ! -s "$PASSWORDS/db_${name}_password" ]; then
    echo "The file of the password is empty or missing: $PASSWORDS/db_${name}_password" >&2
    exit 1
  fi
done
sql=${ROLES_SQL:-$(dirname "$0")/roles.sql}
psql --no-psqlrc --quiet --username "${POSTGRES_USER:-${PGUSER:-postgres}}" \
  --dbname "${PGDATABASE:-postgres}" --file "$sql"

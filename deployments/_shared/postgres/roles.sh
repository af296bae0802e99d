#!/bin/sh
# Makes the users of the database: by PostgreSQL's image when it makes its data folder, or by hand
# where psql reaches a server as a superuser (PGHOST, PGUSER and so on say which):
#   PASSWORDS=secrets ../_shared/postgres/roles.sh
set -eu
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

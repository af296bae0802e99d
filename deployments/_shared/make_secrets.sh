#!/bin/sh
# Makes the secrets of the deployment in the current folder, those that are not there yet:
#   cd deployments/bigbrotr && ../_shared/make_secrets.sh
# Containers run as different users and read the files, so the folder is closed, not they. Never
# overwrites one, never prints one; one that was put there before is opened to the containers, too.
set -eu
umask 077
mkdir -p secrets
chmod 700 secrets
random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
make() {
  if [ -e "secrets/$1" ]; then
    chmod 644 "secrets/$1"
    echo "kept  secrets/$1"
    return
  fi
  "$2" > "secrets/$1.new"
  chmod 644 "secrets/$1.new"
  mv "secrets/$1.new" "secrets/$1"
  echo "made  secrets/$1"
}
make db_admin_password random
make db_owner_password random
make db_writer_password random
make db_reader_password random
make private_key random
make grafana_password random
make nwc_uri true
make alert_webhook_url true
if [ ! -s secrets/alert_webhook_url ]; then
  echo "empty secrets/alert_webhook_url: the profile monitoring needs it; alerts are POSTed there"
fi

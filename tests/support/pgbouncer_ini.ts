// Settings of a PgBouncer for tests: transaction mode, few server connections, anybody whom the server
// knows. In: two ports of 127.0.0.1. Out: a file's text.

/** The file's text; beside it stands `users.txt` with the superuser. */
export function pgbouncerIni(serverPort: number, port: number): string {
  return `[databases]
* = host=127.0.0.1 port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = users.txt
auth_user = postgres
auth_query = select usename, coalesce(passwd, '') from pg_shadow where usename = $1
pool_mode = transaction
default_pool_size = 4
max_client_conn = 400
ignore_startup_parameters = extra_float_digits
server_idle_timeout = 2
autodb_idle_timeout = 2
log_connections = 0
log_disconnections = 0
`;
}

/** The text of `users.txt`. */
export const PGBOUNCER_USERS = '"postgres" ""\n';

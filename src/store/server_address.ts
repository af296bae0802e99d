// A PostgreSQL server's URL, read once into what a connection needs. In: DATABASE_URL as people and
// hosting services write it, the password apart where it is kept apart. Out: address and options,
// or an error that never repeats the URL, for a password may stand in it.
import type { Secret } from "../lib/secret.ts";

/** Where a server is and who we are there. */
export interface ServerAddress {
  host: string;
  port: number;
  /** A Unix socket instead of host and port. */
  path?: string;
  user: string;
  password: string;
  database: string;
  /** "verify": its certificate must hold, for this host; DENO_CERT names an authority of one's own. */
  ssl: false | "prefer" | "require" | "verify";
}

const MAX_URL_LENGTH = 4096;

/**
 * Reads `postgres://user:password@host:port/database?sslmode=…` (also `host=/run/postgresql` for a
 * Unix socket). `password` wins over the URL's. Throws TypeError naming the part that is wrong.
 */
export function parseDatabaseUrl(
  text: Secret | string,
  password?: Secret | string,
): ServerAddress {
  const given = reveal(text);
  if (given.length > MAX_URL_LENGTH) throw new TypeError("DATABASE_URL is too long");
  if (!URL.canParse(given)) throw new TypeError("DATABASE_URL is not a URL");
  const url = new URL(given);
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") {
    throw new TypeError("DATABASE_URL must start with postgres:// or postgresql://");
  }
  const host = url.searchParams.get("host") ??
    decoded(url.hostname).replace(/^\[(.*)\]$/, "$1");
  const user = decoded(url.username) || url.searchParams.get("user") || "postgres";
  const port = Number(url.port || url.searchParams.get("port") || 5432);
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new TypeError("DATABASE_URL has a port that is not one");
  }
  const address: ServerAddress = {
    host: host || "localhost",
    port,
    user,
    password: password === undefined ? decoded(url.password) : reveal(password),
    database: decoded(url.pathname.slice(1)) || user,
    ssl: tls(url.searchParams.get("sslmode")),
  };
  if (host.startsWith("/")) address.path = `${host}/.s.PGSQL.${port}`;
  return address;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new TypeError("DATABASE_URL has a % that is not one of percent-encoding; write %25");
  }
}

function reveal(value: Secret | string): string {
  return typeof value === "string" ? value : value.reveal();
}

// libpq's names (https://www.postgresql.org/docs/current/libpq-ssl.html).
function tls(mode: string | null): ServerAddress["ssl"] {
  switch (mode) {
    case null:
    case "disable":
    case "allow":
      return false;
    case "prefer":
    case "require":
      return mode;
    case "verify-ca":
    case "verify-full":
      return "verify";
    default:
      throw new TypeError(
        "DATABASE_URL has an sslmode that is not one of disable, prefer, require, verify-full",
      );
  }
}

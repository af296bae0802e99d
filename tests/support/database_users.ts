// Users of a real server as an operator has them: an owner who migrates, a writer, a reader. In: a
// server. Out: a database of theirs and a URL for each; disposing of it removes all of them.
import { adminQuery, createDatabase } from "./postgres_server.ts";

/** The users of one database. */
export interface DatabaseUsers extends AsyncDisposable {
  /** The superuser's URL. */
  readonly admin: string;
  readonly owner: DatabaseUser;
  readonly writer: DatabaseUser;
  readonly reader: DatabaseUser;
}

/** One of them. */
export interface DatabaseUser {
  readonly name: string;
  readonly url: string;
}

/** A new database that belongs to a user who is no superuser, and two more who may do nothing yet. */
export async function databaseUsers(server: string): Promise<DatabaseUsers> {
  await using stack = new AsyncDisposableStack();
  const tag = crypto.randomUUID().slice(0, 8);
  const names = ["owner", "writer", "reader"].map((role) => `bb_${role}_${tag}`);
  stack.defer(async () => void await adminQuery(server, `drop role if exists ${names.join(", ")}`));
  const database = stack.use(await createDatabase(server));
  const password = crypto.randomUUID();
  for (const name of names) {
    await adminQuery(server, `create role ${name} login password '${password}'`);
  }
  await adminQuery(server, `alter database ${database.name} owner to ${names[0]}`);
  await adminQuery(database.url, `grant create on schema public to ${names[0]}`);
  const user = (at: number): DatabaseUser => {
    const url = new URL(database.url);
    url.username = names[at] ?? "";
    url.password = password;
    return { name: url.username, url: url.href };
  };
  const resources = stack.move();
  return {
    admin: database.url,
    owner: user(0),
    writer: user(1),
    reader: user(2),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/**
 * `bigbrotr check <relay-url>…`: one look at each relay, told at once. In: relay URLs. Out: a report
 * for a person, or a line of JSON each; exit code 1 when one of them is not online. Never: opens a
 * database or publishes anything.
 */
import type { Config } from "../config/config.ts";
import { configuredDialer, configuredHostSources, localDialer } from "../context.ts";
import { mapConcurrent } from "../lib/pool.ts";
import { type Check, isOnline } from "../model/check.ts";
import { networkOf } from "../model/relay_url.ts";
import { checkRelay } from "../monitor/check_relay.ts";
import { checkSettings, withRetries } from "../monitor/settings.ts";
import { HostSlots } from "../net/host_slots.ts";
import { generateSecretKey, localSigner, parseSecretKey, type Signer } from "../nostr/signer.ts";
import { checkReport } from "./check_report.ts";
import { type CommandCall, type CommandSpec, EXIT } from "./command.ts";
import { relayUrls } from "./event_options.ts";
import { styleFor } from "./style.ts";

/** Relays looked at together; one host's wait for each other. */
const AT_ONCE = 20;
/** A person won't come back in an hour: one failure that may pass is tried again. */
const RETRIES = 1;

export const checkCommand: CommandSpec = {
  name: "check",
  summary: "look at relays now and tell what was found",
  description:
    "Opens each relay, reads, logs in where that is asked for, tries what it can (NIPs 42, " +
    "45, 50, 77), fetches its NIP-11 document, and tells what DNS and the databases of the section " +
    "geo know of its host. Needs no database of its own and publishes nothing. Exit code 1 when a " +
    "relay is not online.\n\n" +
    "A URL that names a local address (ws://127.0.0.1:7777) is dialled because you named it; a " +
    "public name that leads to a local address is refused unless networks.local.enabled is true. " +
    "Relays on Tor, I2P and Lokinet need their network's proxy_url. Log-ins and writes are signed " +
    "with PRIVATE_KEY, or with a key made up for this one call.",
  examples: [
    "check wss://relay.damus.io",
    "check --json nos.lol relay.primal.net",
    "check --write ws://127.0.0.1:7777",
  ],
  json: true,
  define(command): void {
    command
      .argument("<relay-url...>", "relays, in any spelling that has a normal form")
      .option("--write", "also send an own ephemeral event and time its OK");
  },
  run,
};

async function run(call: CommandCall): Promise<number> {
  const { io, options, signal } = call;
  const urls = relayUrls(call.args);
  const config = await call.config();
  const settings = withRetries(checkSettings(config), RETRIES);
  const write = options.flag("write") || settings.enabled.write;
  const dialers = { public: configuredDialer(config), local: localDialer(config) };
  const deps = {
    ...configuredHostSources(config, dialers.public),
    slots: new HostSlots(),
    settings: { ...settings, enabled: { ...settings.enabled, write } },
    signer: signerOf(config),
  };
  const style = styleFor(io.stdoutIsTerminal);
  const tell = (check: Check): void => {
    if (options.flag("json")) io.stdout(JSON.stringify({ online: isOnline(check), ...check }));
    else for (const line of checkReport(check, style)) io.stdout(line);
  };
  const work = mapConcurrent(urls.entries(), AT_ONCE, async ([index, url], inner) => {
    const dialer = networkOf(url) === "local" ? dialers.local : dialers.public;
    return { index, check: await checkRelay(url, { ...deps, dialer }, { signal: inner }) };
  }, { signal });
  let online = 0;
  const waiting = new Map<number, Check>();
  let next = 0;
  for await (const { index, check } of work) {
    waiting.set(index, check);
    if (isOnline(check)) online += 1;
    // Told in the order in which they were named.
    for (let ready = waiting.get(next); ready !== undefined; ready = waiting.get(next)) {
      waiting.delete(next++);
      tell(ready);
    }
  }
  return online === urls.length ? EXIT.ok : EXIT.failed;
}

function signerOf({ secrets }: Config): Signer {
  const given = secrets.privateKey === undefined
    ? undefined
    : parseSecretKey(secrets.privateKey.reveal());
  return localSigner(given?.ok === true ? given.value : generateSecretKey());
}

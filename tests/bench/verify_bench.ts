// How many events a second each signature backend checks (id and signature), on one thread and in
// the pool of workers. Figures are events per second, named by backend; ratios are to noble on one
// thread. Flags: --rounds 5, --round-ms 400, --events 2000, --workers N; --verifier V compares
// only that backend with noble.
import { computeEventId, type NostrEvent } from "../../src/model/event.ts";
import { openBackend, type SchnorrBackend, VERIFIER_BACKENDS } from "../../src/verify/backend.ts";
import { RECORD_BYTES, writeRecord } from "../../src/verify/record.ts";
import { openVerifier, type Verifier } from "../../src/verify/verifier.ts";
import { generateEvents } from "../support/events.ts";
import {
  type BenchArgs,
  type BenchResult,
  median,
  numberFlag,
  roundFigure,
  spread,
} from "./bench.ts";

/** Something that checks events and is asked for its rate in turn with the others. */
interface Contender {
  name: string;
  /** Events in one call. */
  batch: number;
  check: (events: readonly NostrEvent[]) => number | Promise<number>;
  rates: number[];
}

const BATCH = 64;

/** Runs the benchmark. */
export async function run(args: BenchArgs): Promise<BenchResult> {
  const rounds = numberFlag(args, "rounds", 5);
  const roundMs = numberFlag(args, "round-ms", 400);
  const workers = "workers" in args.flags ? numberFlag(args, "workers", 1) : undefined;
  const wanted = args.verifier;
  const names = VERIFIER_BACKENDS.filter((name) =>
    wanted === undefined || wanted === "auto" || name === wanted || name === "noble"
  );
  args.progress("signing events…");
  const events = generateEvents(numberFlag(args, "events", 2000), { seed: 7 });

  await using stack = new AsyncDisposableStack();
  const contenders: Contender[] = [];
  const notes: string[] = [];
  for (const name of names) {
    const opened = await openBackend(name);
    if (!opened.ok) {
      notes.push(`${name} is not here: ${opened.failure}`);
      continue;
    }
    contenders.push(onOneThread(name, stack.use(opened.value)));
    const verifier = stack.use(await openVerifier({ backend: name, workers }));
    contenders.push(inPool(`${name}_pool`, verifier));
    notes.push(`${name} is ${verifier.source}, workers in its pool: ${verifier.workers}`);
  }

  for (const contender of contenders) await rate(contender, events, roundMs / 2);
  for (let round = 0; round < rounds; round++) {
    args.progress(`round ${round + 1} of ${rounds}`);
    for (const contender of contenders) {
      args.signal.throwIfAborted();
      contender.rates.push(await rate(contender, events, roundMs));
    }
  }

  const noble = median(contenders.find(({ name }) => name === "noble")?.rates ?? []);
  const figures: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  for (const { name, rates } of contenders) {
    figures[name] = Math.round(median(rates));
    ratios[name] = roundFigure(median(rates) / noble);
    notes.push(`${name}: rounds differ by ${spread(rates)}`);
  }
  notes.push(`events a second, median of ${rounds} rounds; ratios to noble on one thread`);
  return { bench: "verify", store: null, verifier: null, figures, ratios, notes };
}

function onOneThread(name: string, backend: SchnorrBackend): Contender {
  const records = new Uint8Array(BATCH * RECORD_BYTES);
  const verdicts = new Uint8Array(BATCH);
  const check = (events: readonly NostrEvent[]): number => {
    for (const [row, event] of events.entries()) {
      if (computeEventId(event) === event.id) writeRecord(records, row, event);
    }
    backend.verify(
      records.subarray(0, events.length * RECORD_BYTES),
      verdicts.subarray(0, events.length),
    );
    return verdicts.subarray(0, events.length).filter((verdict) => verdict === 1).length;
  };
  return { name, batch: BATCH, check, rates: [] };
}

function inPool(name: string, verifier: Verifier): Contender {
  const check = async (events: readonly NostrEvent[]): Promise<number> => {
    const verdicts = await verifier.verify(events);
    return verdicts.filter((verdict) => verdict === "ok").length;
  };
  // What ingest hands over at a time; enough to keep every worker busy.
  return { name, batch: Math.max(512, verifier.workers * 512), check, rates: [] };
}

/** Events a second over at least `forMs`; throws when a valid event is called invalid. */
async function rate(
  { name, batch, check }: Contender,
  events: readonly NostrEvent[],
  forMs: number,
): Promise<number> {
  const started = performance.now();
  let checked = 0;
  for (let at = 0; performance.now() - started < forMs; at = (at + batch) % events.length) {
    const slice = events.slice(at, at + batch);
    const good = await check(slice);
    if (good !== slice.length) throw new Error(`${name} calls ${slice.length - good} events bad`);
    checked += slice.length;
  }
  return checked / ((performance.now() - started) / 1000);
}

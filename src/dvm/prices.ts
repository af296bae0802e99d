// What an answer costs, by the configuration alone. In: prices, a job's kind and its question.
// Out: millisatoshi. Never looks at what the customer offers: a bid is an upper bound, no payment.
import type { JobKinds } from "./question.ts";
import { type DvmConfig, hasPrices } from "../config/dvm.ts";
import { type ConfigProblem, nearestName } from "../config/problem.ts";

type Prices = DvmConfig["prices"];

/** The price of one answer in millisatoshi; the most special one counts. */
export function priceOf(
  prices: Prices,
  kinds: JobKinds,
  job: { kind: number; question: string },
): number {
  const own = Object.hasOwn(prices.questions, job.question)
    ? prices.questions[job.question]
    : undefined;
  return own ?? priceOfKind(prices, kinds, job.kind) ?? prices.default;
}

/** A price for a name that is no question would leave the question it meant free; so it is told. */
export function unknownPrice(
  prices: Prices,
  questions: readonly string[],
): ConfigProblem | undefined {
  const name = Object.keys(prices.questions).find((given) => !questions.includes(given));
  if (name === undefined) return undefined;
  const nearest = nearestName(name, questions);
  return {
    path: "dvm.prices.questions",
    message: "names no question",
    value: name,
    allowed: nearest === undefined
      ? "names that `bigbrotr query --list` has"
      : `did you mean ${nearest}?`,
  };
}

/** How clients are told in the announcement. */
export function priceWord(prices: Prices): "free" | "flexible" {
  return hasPrices(prices) ? "flexible" : "free";
}

function priceOfKind({ kinds: prices }: Prices, kinds: JobKinds, kind: number): number | undefined {
  switch (kind) {
    case kinds.eventCount:
      return prices.eventCount;
    case kinds.statistics:
      return prices.statistics;
    case kinds.relaySearch:
      return prices.relaySearch;
    default:
      return undefined;
  }
}

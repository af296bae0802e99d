// A filter in a window, as it is sent. Pure.
import type { CoverageWindow } from "../model/coverage.ts";
import type { Filter } from "../model/filter.ts";

/** The filter in this window; `since: 0` is left out, for relays that take it for nonsense. */
export function within(filter: Filter, { since, until }: CoverageWindow): Filter {
  return since === 0 ? { ...filter, until } : { ...filter, since, until };
}

// What the upgrade's answer says of the software in front; asks nothing more of the relay.
import type { Check, HttpFacts } from "../../model/check.ts";
import type { CheckPart, CheckSession } from "../session.ts";

/** `http`: Server and X-Powered-By. */
export const httpCheck: CheckPart = {
  name: "http",
  needs: "socket",
  appliesTo: () => true,
  run: ({ connection }: CheckSession): Promise<Partial<Check>> => {
    const { server, "x-powered-by": poweredBy } = connection?.facts.headers ?? {};
    const http: HttpFacts = {
      ...(server === undefined || server === "" ? {} : { server }),
      ...(poweredBy === undefined || poweredBy === "" ? {} : { poweredBy }),
    };
    return Promise.resolve(Object.keys(http).length === 0 ? {} : { http });
  },
};

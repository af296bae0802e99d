// What the TLS handshake of the open socket showed; asks nothing more of the relay.
import type { Check, TlsReport } from "../../model/check.ts";
import { isOverlayNetwork } from "../../model/network.ts";
import type { TlsFacts } from "../../net/dialer.ts";
import type { CheckPart, CheckSession } from "../session.ts";

/** `ssl`: session and certificate. Overlay networks speak plain ws and have neither. */
export const sslCheck: CheckPart = {
  name: "ssl",
  needs: "socket",
  appliesTo: (network) => !isOverlayNetwork(network),
  run: ({ connection }: CheckSession): Promise<Partial<Check>> => {
    const tls = connection?.facts.tls;
    return Promise.resolve(tls === undefined ? {} : { tls: tlsReport(tls) });
  },
};

function tlsReport(facts: TlsFacts): TlsReport {
  const own = facts.chain[0];
  const { authorized: valid, problem, protocol, cipher } = facts;
  return {
    valid,
    ...(problem === undefined ? {} : { problem }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(cipher === undefined ? {} : { cipher }),
    ...(own === undefined ? {} : {
      subject: own.subject,
      issuer: own.issuer,
      names: own.subjectAltNames,
      validFrom: own.validFrom,
      validTo: own.validTo,
      fingerprint: own.fingerprint256,
      serialNumber: own.serialNumber,
      chain: facts.chain.slice(1).map(({ subject, issuer, validTo, fingerprint256 }) => ({
        subject,
        issuer,
        validTo,
        fingerprint: fingerprint256,
      })),
    }),
  };
}

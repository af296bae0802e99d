// Lets @nostr-relay/common load. It requires "@noble/hashes/sha256" without declaring it; npm's
// flat folders happen to hold version 1, Deno takes the newest of the graph, version 2, which has
// no such file. Asked in the name of @noble/curves, which declares version 1, the right one comes.
// To be imported before any @nostr-relay package; touches no other module's requests.
import { createRequire, registerHooks, type ResolveFnOutput } from "node:module";
import { pathToFileURL } from "node:url";

registerHooks({
  resolve(specifier, context, nextResolve): ResolveFnOutput {
    if (
      specifier !== "@noble/hashes/sha256" ||
      !context.parentURL?.includes("/@nostr-relay/common/")
    ) {
      return nextResolve(specifier, context);
    }
    const curves = nextResolve("@noble/curves/secp256k1", context);
    const path = createRequire(curves.url).resolve(specifier);
    return { url: pathToFileURL(path).href, shortCircuit: true };
  },
});

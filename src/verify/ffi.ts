// The system's libsecp256k1 by Deno FFI: about 30 µs a signature, the fastest way there is.
// Needs --allow-ffi and the library (Debian: libsecp256k1-1 or -2; macOS: brew install secp256k1).
// A library that lacks what we call, or speaks an older ABI, is passed over before it is called.
import { fail, ok, type Result } from "../lib/result.ts";
import { errorText } from "../lib/text.ts";
import type { SchnorrBackend } from "./backend.ts";
import { PUBKEY_OFFSET, RECORD_BYTES, SIGNATURE_OFFSET } from "./record.ts";

const SYMBOLS = {
  secp256k1_context_create: { parameters: ["u32"], result: "pointer" },
  secp256k1_context_destroy: { parameters: ["pointer"], result: "void" },
  secp256k1_xonly_pubkey_parse: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  secp256k1_schnorrsig_verify: {
    parameters: ["pointer", "buffer", "buffer", "usize", "buffer"],
    result: "i32",
  },
  // Never called. Libraries from before it (Debian 11's .so.0) have a schnorrsig_verify without
  // the message length: ours would make them read address 32, and the process would be gone.
  secp256k1_schnorrsig_sign_custom: {
    parameters: ["pointer", "buffer", "buffer", "usize", "pointer", "pointer"],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** SECP256K1_CONTEXT_VERIFY; libraries since 0.2 need no flag, older ones need this one. */
const CONTEXT_VERIFY = 0x0101;
/** sizeof(secp256k1_xonly_pubkey), opaque. */
const PARSED_PUBKEY_BYTES = 64;
const ID_BYTES = BigInt(PUBKEY_OFFSET);

// ABI versions that exist with the schnorrsig module, newest first: 0.7, 0.6, 0.3 to 0.5, 0.2, 0.1.
const ABI_VERSIONS = [6, 5, 2, 1, 0] as const;

/** The names under which systems keep the library, newest ABI first. */
export function usualLibraryPaths(os: typeof Deno.build.os = Deno.build.os): string[] {
  if (os === "windows") {
    return [...ABI_VERSIONS.map((n) => `libsecp256k1-${n}.dll`), "secp256k1.dll"];
  }
  if (os === "darwin") {
    const names = [
      ...ABI_VERSIONS.map((n) => `libsecp256k1.${n}.dylib`),
      "libsecp256k1.dylib",
    ];
    // Homebrew's folders are not on the loader's path on Apple silicon.
    return ["", "/opt/homebrew/lib/", "/usr/local/lib/"].flatMap((folder) =>
      names.map((name) => folder + name)
    );
  }
  return [...ABI_VERSIONS.map((n) => `libsecp256k1.so.${n}`), "libsecp256k1.so"];
}

/** Loads the first usable library of `paths`; a failure says what was tried and what was wrong. */
export function openFfiBackend(
  paths: readonly string[] = usualLibraryPaths(),
): Result<SchnorrBackend, string> {
  const reasons: string[] = [];
  for (const path of paths) {
    // Asked first: on a terminal dlopen itself would stop and prompt for the permission.
    if (Deno.permissions.querySync({ name: "ffi", path }).state !== "granted") {
      reasons.push(`no permission to load ${path} (--allow-ffi)`);
      continue;
    }
    try {
      return ok(bind(path, Deno.dlopen(path, SYMBOLS)));
    } catch (error) {
      reasons.push(`${path}: ${errorText(error)}`);
    }
  }
  // Of the usual names most are absent: what is there and unusable tells more.
  const telling = reasons.find((reason) => !/open library/i.test(reason));
  return fail(telling ?? `libsecp256k1 was not found (tried ${paths.join(", ")})`);
}

function bind(path: string, library: Deno.DynamicLibrary<typeof SYMBOLS>): SchnorrBackend {
  const { symbols } = library;
  const context = symbols.secp256k1_context_create(CONTEXT_VERIFY);
  if (context === null) {
    library.close();
    throw new Error("Cannot create a verification context");
  }
  const parsed = new Uint8Array(PARSED_PUBKEY_BYTES);
  return {
    name: "ffi",
    source: path,
    verify(records, verdicts): void {
      for (let i = 0, at = 0; i < verdicts.length; i++, at += RECORD_BYTES) {
        const id = records.subarray(at, at + PUBKEY_OFFSET);
        const pubkey = records.subarray(at + PUBKEY_OFFSET, at + SIGNATURE_OFFSET);
        const signature = records.subarray(at + SIGNATURE_OFFSET, at + RECORD_BYTES);
        verdicts[i] = symbols.secp256k1_xonly_pubkey_parse(context, parsed, pubkey) === 1
          ? symbols.secp256k1_schnorrsig_verify(context, signature, id, ID_BYTES, parsed)
          : 0;
      }
    },
    [Symbol.dispose]: () => {
      symbols.secp256k1_context_destroy(context);
      library.close();
    },
  };
}

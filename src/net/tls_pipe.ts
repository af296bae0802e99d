/**
 * The layer between a TCP socket and the TLS session over it, there for back-pressure alone: Deno's
 * TLS sockets go on reading and decrypting while they are paused, over a socket and over a stream
 * alike (measured with 2.9.6: 300 MB sent by a peer became 600 MB of ours while the WebSocket was
 * paused). So the reading of the TCP socket is governed here, by how full the TLS session is.
 */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";

/** Decrypted bytes that may wait for their reader before TCP is left alone. */
const HIGH_WATER_BYTES = 64 * 1024;

/**
 * A stream of a TCP socket's bytes, to be handed to `tls.connect` in its place. It owns the socket:
 * each ends with the other.
 */
export class TlsPipe extends Duplex {
  readonly #socket: Socket;
  #session: TLSSocket | undefined;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on("data", (chunk: Uint8Array) => {
      if (!this.push(chunk) || this.#isFull()) socket.pause();
    });
    socket.on("end", () => this.push(null));
    // After an error too; whoever reads the session learns of it by its own "close".
    socket.on("close", () => this.destroy());
  }

  /**
   * From here on TCP is read only while `session` takes bytes. Its reader has to use "data" events
   * with pause() and resume(), as ws and node:http do: "resume" is what starts TCP again.
   */
  follow(session: TLSSocket): void {
    this.#session = session;
    session.on("resume", () => this.#socket.resume());
  }

  override _read(): void {
    if (!this.#isFull()) this.#socket.resume();
  }

  override _write(
    chunk: Uint8Array,
    _encoding: string,
    callback: (error?: Error | null) => void,
  ): void {
    this.#socket.write(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#socket.end(() => callback());
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#socket.destroy();
    callback(error);
  }

  #isFull(): boolean {
    const session = this.#session;
    return session !== undefined &&
      (session.isPaused() || session.readableLength > HIGH_WATER_BYTES);
  }
}

/**
 * A proxy in front of the cluster that holds back its answer or its close frame, so that a test can act in
 * between.
 */
import type { Socket } from "node:net";
import { ClusterProxy, requestLineOf } from "./loopback-server.ts";

/**
 * An exec whose command contains the first gets no answer to its upgrade; with the second it gets no close
 * frame.
 */
export const HOLD_ANSWER = "hold-answer";
export const HOLD_CLOSE = "hold-close";

const CLOSE_FRAME = 8;

export class Gate extends ClusterProxy {
  /** What has been held back so far: `HOLD_ANSWER` or `HOLD_CLOSE` each time. */
  readonly held: string[] = [];

  protected override join(near: Socket, far: Socket): void {
    let pass: (bytes: Buffer) => void = (bytes) => near.write(bytes);
    near.on("data", (bytes) => {
      // A session's request is the last one of its connection.
      const requested = requestLineOf(bytes);
      if (requested.includes(HOLD_ANSWER)) pass = () => this.#hold(HOLD_ANSWER);
      if (requested.includes(HOLD_CLOSE)) pass = this.#withoutClose(near);
      far.write(bytes);
    });
    far.on("data", (bytes) => pass(bytes));
  }

  /** Forwards a WebSocket server's frames up to its close frame. */
  #withoutClose(near: Socket): (bytes: Buffer) => void {
    let rest = Buffer.alloc(0);
    let hasHead = false;
    let isClosed = false;
    return (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      while (!isClosed) {
        const length = hasHead ? frameLength(rest) : headLength(rest);
        if (length === undefined || rest.length < length) return;
        isClosed = hasHead && ((rest[0] ?? 0) & 0x0f) === CLOSE_FRAME;
        if (isClosed) this.#hold(HOLD_CLOSE);
        else near.write(rest.subarray(0, length));
        hasHead = true;
        rest = rest.subarray(length);
      }
    };
  }

  #hold(what: string): void {
    this.held.push(what);
  }
}

function headLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  return end < 0 ? undefined : end + 4;
}

/** The length of an unmasked frame; undefined until its head is complete. */
function frameLength(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] ?? 0) & 0x7f;
  if (short < 126) return 2 + short;
  if (short === 126) return bytes.length < 4 ? undefined : 4 + bytes.readUInt16BE(2);
  return bytes.length < 10 ? undefined : 10 + Number(bytes.readBigUInt64BE(2));
}

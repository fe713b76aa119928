/**
 * Plays sequences of SPDY frames to a cluster, with or without Sallyport between, and gives the same bytes to
 * the observer.
 */
import type { Traffic } from "../../../audit/events.ts";
import { PORT_FORWARD_TUNNEL } from "../../../durable/protocols/port-forward-tunnel.ts";
import { MessageObserver } from "../../support/observe-messages.ts";
import type { Random } from "../../support/random.ts";
import { ECHO_PORT, HTTP_PORT, randomSequence, type SpdySequence } from "../../support/spdy-sequences.ts";
import type { TunnelClient } from "./tunnel-client.ts";

/** A pod with a TCP echo and an HTTP server. */
export const TARGET = "/api/v1/namespaces/demo/pods/echo/portforward";

const AT_ONCE = 8;
const CONTROL = 0x8000_0000;
const PING = 0x8003_0006;
/** How long an answer is waited for that a broken tunnel may never give. */
const PATIENCE_MS = 500;
/** How long a tunnel that was not broken may take, on a busy machine. */
const LIMIT_MS = 60_000;

/**
 * What the pod's ports have answered, from the kubelet's frames alone: which port it is, the bytes themselves
 * say.
 */
class Answers {
  /** Control frames as far as they are there, or the head of a DATA frame. */
  #rest = Buffer.alloc(0);
  #data = { streamId: 0, remaining: 0 };
  readonly #streams = new Map<number, string>();
  readonly pings = new Set<number>();

  /** Reads what it needs of SPDY by itself, for the parser is under test. */
  add(bytes: Uint8Array): void {
    let rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const data = rest.subarray(0, this.#data.remaining);
      const { streamId } = this.#data;
      if (data.length > 0) this.#streams.set(streamId, (this.#streams.get(streamId) ?? "") + data.toString("latin1"));
      this.#data.remaining -= data.length;
      rest = rest.subarray(data.length);
      if (this.#data.remaining > 0 || rest.length < 8) break;
      const [first, length] = [rest.readUInt32BE(0), rest.readUIntBE(5, 3)];
      if (first < CONTROL) {
        this.#data = { streamId: first, remaining: length };
        rest = rest.subarray(8);
        continue;
      }
      if (rest.length < 8 + length) break;
      if (first === PING) this.pings.add(rest.readUInt32BE(8));
      rest = rest.subarray(8 + length);
    }
    this.#rest = rest;
  }

  has(text: string): boolean {
    return [...this.#streams.values()].some((answer) => answer.includes(text));
  }

  bytesOf(port: number): number {
    return [...this.#streams.values()]
      .filter((answer) => portOf(answer) === port)
      .reduce((sum, answer) => sum + answer.length, 0);
  }
}

/** The kubelet's own texts on error streams are of no port. */
function portOf(answer: string): number | undefined {
  if (answer.startsWith("HTTP/1.")) return HTTP_PORT;
  return /^(echo-|x)/.test(answer) ? ECHO_PORT : undefined;
}

export interface Outcome {
  readonly sequence: SpdySequence;
  /** Undefined without Sallyport between. */
  readonly sessionId: string | undefined;
  readonly answered: Readonly<Record<number, number>>;
  readonly problems: readonly string[];
  /** The step at which Sallyport would have ended the session. */
  readonly endedAt: { readonly step: string; readonly violation: string } | undefined;
  /** Bytes that ports answered after that, which nobody would have read. */
  readonly bytesAfterEnd: number;
  readonly hasLastEcho: boolean;
}

export const hasAnswer = ({ answered }: Outcome) => Object.values(answered).some((bytes) => bytes > 0);

/** Plays random sequences, some at a time. */
export async function playAll(count: number, random: Random, open: Open): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let left = count;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) outcomes.push(await play(randomSequence(random), open));
    }),
  );
  return outcomes;
}

type Open = (onData: (bytes: Uint8Array) => void) => Promise<TunnelClient>;

/** Sends all of a sequence, also what comes after the session's end, to see what the kubelet makes of it. */
async function play(sequence: SpdySequence, open: Open): Promise<Outcome> {
  const observer = new MessageObserver("port-forward", PORT_FORWARD_TUNNEL, false, { onUnreadable: "end" });
  const answers = new Answers();
  const problems: string[] = [];
  let endedAt: Outcome["endedAt"];
  let answeredBefore = 0;
  let wake = () => {};
  const until = async (isReached: () => boolean, limitMs: number) => {
    const end = performance.now() + limitMs;
    while (!isReached() && !tunnel.isClosed && performance.now() < end) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, 50);
      });
    }
  };
  const answered = () => answers.bytesOf(ECHO_PORT) + answers.bytesOf(HTTP_PORT);
  const tunnel = await open((bytes) => {
    if (!endedAt) {
      const observation = observer.fromUpstream(bytes);
      if (typeof observation === "object") problems.push(`the kubelet's frames: ${observation.violation}`);
    }
    answers.add(bytes);
    wake();
  });
  void tunnel.closed.then(() => wake());
  const compare = () => {
    for (const port of [ECHO_PORT, HTTP_PORT])
      problems.push(...differences(port, answers.bytesOf(port), observer.traffic()));
  };
  for (const { name, messages, pingId } of sequence.steps) {
    for (const message of messages) {
      if (!endedAt) {
        const observation = observer.fromClient(message);
        if (typeof observation === "object") {
          endedAt = { step: name, violation: observation.violation };
          answeredBefore = answered();
          compare();
        }
      }
      tunnel.send(message);
    }
    if (pingId !== undefined) await until(() => answers.pings.has(pingId), sequence.isValid ? LIMIT_MS : PATIENCE_MS);
  }
  await until(() => answers.has(sequence.lastEcho), sequence.isValid ? LIMIT_MS : PATIENCE_MS);
  if (!endedAt) compare();
  tunnel.close();
  await tunnel.closed;
  return {
    sequence,
    sessionId: tunnel.headers.get("sallyport-session"),
    answered: { [ECHO_PORT]: answers.bytesOf(ECHO_PORT), [HTTP_PORT]: answers.bytesOf(HTTP_PORT) },
    problems,
    endedAt,
    bytesAfterEnd: endedAt ? answered() - answeredBefore : 0,
    hasLastEcho: answers.has(sequence.lastEcho),
  };
}

/** How what the observer read of a port differs from what the port answered. */
function differences(port: number, bytes: number, traffic: Traffic | undefined): string[] {
  const forward = traffic?.forwards?.find((one) => one.port === port);
  if (traffic?.unreadable) return ["unreadable, but not ended"];
  if (bytes === 0 && !forward) return [];
  if (forward?.bytes_out !== bytes)
    return [`port ${port} answered ${bytes} bytes, in the log are ${forward?.bytes_out}`];
  if (port === ECHO_PORT && forward.bytes_in < bytes)
    return [`port ${port} echoed ${bytes}, in the log are ${forward.bytes_in}`];
  return [];
}

import type { Traffic } from "../../audit/events.ts";
import type { Chunk } from "./chunk.ts";
import { type Notice, type Observation, type Observer, observationOf } from "./observer.ts";

/**
 * Observes bytes without a known protocol (KubeVirt's `plain.kubevirt.io`, and unknown ones). All of them are
 * use of the session. Only a console, which is a screen, can show a message among them.
 */
export class RawObserver implements Observer {
  readonly messageInCloseReason = true;
  readonly lingerMs = 0;
  readonly #traffic: Traffic;
  readonly #encodeMessage: (message: string) => Uint8Array<ArrayBuffer>[];
  readonly #violation: string | undefined;

  /** @param violation with it, the session ends at the first chunk */
  constructor(
    traffic: Traffic = {},
    encodeMessage: (message: string) => Uint8Array<ArrayBuffer>[] = () => [],
    violation?: string,
  ) {
    this.#traffic = traffic;
    this.#encodeMessage = encodeMessage;
    this.#violation = violation;
  }

  fromClient(chunk: Chunk): Observation {
    return this.#observe(chunk);
  }

  fromUpstream(chunk: Chunk): Observation {
    return this.#observe(chunk);
  }

  #observe(chunk: Chunk): Observation {
    return this.#violation === undefined ? observationOf(chunk) : { violation: this.#violation };
  }

  finalStatus(): undefined {
    return undefined;
  }

  goodbyeFrames(message: string): Uint8Array<ArrayBuffer>[] {
    return this.#encodeMessage(message);
  }

  noticeFrames({ line }: Notice): Uint8Array<ArrayBuffer>[] {
    return this.#encodeMessage(line);
  }

  traffic(): Traffic {
    return this.#traffic;
  }
}

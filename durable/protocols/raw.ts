import type { Traffic } from "../../audit/events.ts";
import type { Chunk } from "./chunk.ts";
import { type Observation, type Observer, observationOf } from "./observer.ts";

/**
 * Observes bytes without a known protocol (KubeVirt's `plain.kubevirt.io`, and unknown ones). All of them are
 * use of the session. Only a console, which is a screen, can show a message among them.
 */
export class RawObserver implements Observer {
  readonly messageInCloseReason = true;
  readonly lingerMs = 0;
  readonly #traffic: Traffic;
  readonly #encodeMessage: (message: string) => Uint8Array<ArrayBuffer>[];

  constructor(traffic: Traffic = {}, encodeMessage: (message: string) => Uint8Array<ArrayBuffer>[] = () => []) {
    this.#traffic = traffic;
    this.#encodeMessage = encodeMessage;
  }

  fromClient(chunk: Chunk): Observation {
    return observationOf(chunk);
  }

  fromUpstream(chunk: Chunk): Observation {
    return observationOf(chunk);
  }

  finalStatus(): undefined {
    return undefined;
  }

  goodbyeFrames(message: string): Uint8Array<ArrayBuffer>[] {
    return this.#encodeMessage(message);
  }

  traffic(): Traffic {
    return this.#traffic;
  }
}

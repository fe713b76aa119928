import type { Traffic } from "../../audit/events.ts";
import { type Message, type Observer, sizeOf } from "./observer.ts";

/**
 * Bytes that have no form (KubeVirt's `plain.kubevirt.io`), or one that nobody here knows. All of them are use, and
 * nothing can be said among them, except on a console, which is a screen.
 */
export class RawObserver implements Observer {
  readonly messageInCloseReason = true;
  readonly lingerMs = 0;
  readonly #traffic: Traffic;
  readonly #say: (words: string) => Uint8Array<ArrayBuffer>[];

  constructor(traffic: Traffic = {}, say: (words: string) => Uint8Array<ArrayBuffer>[] = () => []) {
    this.#traffic = traffic;
    this.#say = say;
  }

  fromClient(message: Message): boolean {
    return sizeOf(message) > 0;
  }

  fromUpstream(message: Message): boolean {
    return sizeOf(message) > 0;
  }

  finalStatus(): undefined {
    return undefined;
  }

  goodbyeFrames(words: string): Uint8Array<ArrayBuffer>[] {
    return this.#say(words);
  }

  traffic(): Traffic {
    return this.#traffic;
  }
}

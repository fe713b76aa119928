import { BoundedBuffer } from "../../common/bounded-buffer.ts";
import { concatBytes } from "../../common/bytes.ts";
import type { ChannelProtocol } from "../../kubernetes/channels.ts";
import { MAX_STATUS_BYTES, parseStatus, type Status, statusOfErrorText } from "../../kubernetes/status.ts";

/** What the cluster says on the error channel about a session's end, in whatever pieces it arrives. */
export interface ErrorChannel {
  push(bytes: Uint8Array): void;
  /** What was said, once it is complete. Cheap, however often it is asked. */
  readonly status: Status | undefined;
}

export function createErrorChannel({ errorFormat }: ChannelProtocol): ErrorChannel {
  return errorFormat === "status" ? new StatusChannel() : new TextChannel();
}

const [QUOTE, BACKSLASH, OPEN_BRACE, CLOSE_BRACE] = [0x22, 0x5c, 0x7b, 0x7d];

/** Since v4: one `metav1.Status` in JSON. */
class StatusChannel implements ErrorChannel {
  readonly #json = new BoundedBuffer(MAX_STATUS_BYTES);
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** The object is complete, or can be none. */
  #isOver = false;
  #status: Status | undefined;

  get status(): Status | undefined {
    return this.#status;
  }

  /** Follows braces and strings, so that the text is parsed once, and not with each of its pieces. */
  push(bytes: Uint8Array): void {
    if (this.#isOver) return;
    const before = this.#json.length;
    const taken = bytes.subarray(0, MAX_STATUS_BYTES - before);
    this.#json.add(taken);
    const end = taken.findIndex((byte) => this.#isLastByte(byte));
    if (end >= 0) this.#status = parseStatus(this.#json.bytes.subarray(0, before + end + 1));
    if (end >= 0 || taken.length < bytes.length) {
      this.#isOver = true;
      this.#json.take();
    }
  }

  /** @returns whether the byte ends the outermost object */
  #isLastByte(byte: number): boolean {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE) this.#isInString = false;
    } else if (byte === QUOTE) {
      this.#isInString = true;
    } else if (byte === OPEN_BRACE) {
      this.#depth++;
    } else if (byte === CLOSE_BRACE) {
      this.#depth--;
      return this.#depth <= 0;
    }
    return false;
  }
}

/** The text quotes the command, which may be long, and ends with the exit code. */
const HEAD_BYTES = 1024;
const TAIL_BYTES = 64;

/** Before v4: the error's text. A command that succeeds writes none. */
class TextChannel implements ErrorChannel {
  readonly #head = new Uint8Array(HEAD_BYTES);
  #headLength = 0;
  /** The last bytes of those that did not fit into the head. */
  #tail = new Uint8Array(0);
  #length = 0;

  get status(): Status | undefined {
    return this.#length === 0 ? undefined : statusOfErrorText(this.#text);
  }

  push(bytes: Uint8Array): void {
    const head = bytes.subarray(0, HEAD_BYTES - this.#headLength);
    this.#head.set(head, this.#headLength);
    this.#headLength += head.length;
    this.#length += bytes.length;
    const rest = bytes.subarray(head.length).subarray(-TAIL_BYTES);
    this.#tail = concatBytes([this.#tail, rest]).slice(-TAIL_BYTES);
  }

  get #text(): string {
    const head = this.#head.subarray(0, this.#headLength);
    const hasGap = this.#length > this.#headLength + this.#tail.length;
    if (!hasGap) return decode(concatBytes([head, this.#tail]));
    // Either end may have cut a character in two.
    return `${decode(head).replace(/\uFFFD+$/, "")} … ${decode(this.#tail).replace(/^\uFFFD+/, "")}`;
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

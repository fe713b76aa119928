import type { Forward } from "../../audit/events.ts";
import { stripControlCharacters } from "../../common/text.ts";

/** Each new port is an entry in the audit log, which a client that tries every port must not fill. */
const MAX_PORTS = 64;
const MAX_ERROR_BYTES = 512;

/** What one port of a port-forward has carried. */
export class ForwardAccount {
  readonly port: number | null;
  connections = 0;
  bytesIn = 0;
  bytesOut = 0;
  #errors = 0;
  #firstError: ErrorText | undefined;

  constructor(port: number | null) {
    this.port = port;
  }

  /**
   * To be called once for each connection with an error, with the first bytes of its text.
   *
   * @returns where more of the text goes; undefined if it is not kept
   */
  failed(bytes: Uint8Array): ErrorText | undefined {
    this.#errors++;
    if (this.#firstError) return undefined;
    this.#firstError = new ErrorText();
    this.#firstError.add(bytes);
    return this.#firstError;
  }

  get summary(): Forward {
    return {
      port: this.port,
      connections: this.connections,
      bytes_in: this.bytesIn,
      bytes_out: this.bytesOut,
      errors: this.#errors,
      first_error: this.#firstError?.toString() ?? null,
    };
  }
}

/** The beginning of an error's text, which may arrive in pieces. */
export class ErrorText {
  readonly #bytes = new Uint8Array(MAX_ERROR_BYTES);
  #length = 0;

  add(bytes: Uint8Array): void {
    const taken = bytes.subarray(0, MAX_ERROR_BYTES - this.#length);
    this.#bytes.set(taken, this.#length);
    this.#length += taken.length;
  }

  get isFull(): boolean {
    return this.#length === MAX_ERROR_BYTES;
  }

  /** Without control characters, which could be commands to the terminal of whoever reads the audit log. */
  toString(): string {
    const text = new TextDecoder().decode(this.#bytes.subarray(0, this.#length));
    return stripControlCharacters(text.replace(/\uFFFD+$/, ""));
  }
}

/** Accounts for a session's forwarded ports, within bounds whatever the client does. */
export class ForwardLedger {
  readonly #accounts = new Map<number, ForwardAccount>();
  readonly #onNewPort: (port: number) => void;
  #rest: ForwardAccount | undefined;

  /** @param onNewPort called before anything is counted for a port for the first time */
  constructor(onNewPort: (port: number) => void) {
    this.#onNewPort = onNewPort;
  }

  /** The account of a port; ports after the 64th share one. */
  account(port: number): ForwardAccount {
    const known = this.#accounts.get(port);
    if (known) return known;
    if (this.#accounts.size >= MAX_PORTS) return this.rest;
    const account = new ForwardAccount(port);
    this.#accounts.set(port, account);
    this.#onNewPort(port);
    return account;
  }

  /** The account of everything that cannot be told apart. */
  get rest(): ForwardAccount {
    this.#rest ??= new ForwardAccount(null);
    return this.#rest;
  }

  /** The accounts in the order of first use. */
  summary(): Forward[] {
    const accounts = [...this.#accounts.values(), ...(this.#rest ? [this.#rest] : [])];
    return accounts.map((account) => account.summary);
  }
}

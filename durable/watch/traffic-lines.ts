import type { Counts, Forward, Traffic } from "../../audit/events.ts";

/** What a session without a screen has carried. */
export interface Carried {
  readonly traffic: Traffic;
  readonly counts: Counts;
}

/** Describes in lines what a tunnel carries, each time that something has changed. */
export class TrafficLines {
  readonly #shown = new Map<number | null, string>();
  #isUnreadable = false;
  #shownCounts = "";

  /** @returns the lines about what has changed since the last call, each with its line feed */
  next({ traffic, counts }: Carried): string {
    const { forwards, unreadable } = traffic;
    if (forwards === undefined) return this.#nextCounts(counts);
    const lines = forwards.map((forward) => this.#nextForward(forward));
    if (unreadable && !this.#isUnreadable) {
      this.#isUnreadable = true;
      lines.push("the traffic does not fit its protocol: from here on only its size is known\n");
    }
    return lines.join("") + (unreadable ? this.#nextCounts(counts) : "");
  }

  #nextForward(forward: Forward): string {
    const { port, connections, bytes_in, bytes_out, errors, first_error } = forward;
    const error = errors === 0 ? "" : `, ${errors} failed (${first_error ?? "no message"})`;
    const line = `${counted(connections, "connection")}${error}, ${bytes_in} bytes in, ${bytes_out} bytes out`;
    if (this.#shown.get(port) === line) return "";
    this.#shown.set(port, line);
    return `${port === null ? "other ports" : `port ${port}`}: ${line}\n`;
  }

  #nextCounts({ bytes_in, bytes_out }: Counts): string {
    const line = `${bytes_in} bytes in, ${bytes_out} bytes out\n`;
    if (line === this.#shownCounts) return "";
    this.#shownCounts = line;
    return line;
  }
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

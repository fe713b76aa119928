/** A person of the examples: real kubectl with the context of one of the local stack's personas. */
import { setTimeout as delay } from "node:timers/promises";
import type { PersonaName } from "../access/personas.ts";
import type { Finished, Kubectl, Running } from "../programs/kubectl.ts";
import { Terminal } from "../programs/terminal.ts";
import { EXAMPLE_NAMESPACE } from "./namespace.ts";

/** What every stated reason of the examples begins with, so that nobody takes them for real. */
export const EXAMPLE_MARK = "Example: ";

/** How long a terminal or an answer of Sallyport is waited for, ms. */
const PATIENCE_MS = 60_000;
/** Between two lines that somebody types, ms: whoever replays the session can follow. */
const TYPING_PAUSE_MS = 400;
const POLL_MS = 200;

/** A step of the examples that did not go as it should. */
export class ExampleError extends Error {
  override readonly name = "ExampleError";
}

export interface Expected {
  /** Default 0. */
  readonly code?: number;
  /** What stdout or stderr has. */
  readonly says?: RegExp;
}

export class Person {
  readonly name: PersonaName;
  readonly #kubectl: Kubectl;
  readonly #signal: AbortSignal;

  /** @param signal ends whatever runs */
  constructor(name: PersonaName, kubectl: Kubectl, signal: AbortSignal) {
    this.name = name;
    this.#kubectl = kubectl;
    this.#signal = signal;
  }

  /**
   * Runs kubectl to its end.
   *
   * @throws ExampleError where it ends otherwise than expected
   */
  async run(args: readonly string[], { code = 0, says }: Expected = {}, input = ""): Promise<Finished> {
    const finished = await this.start(args, input).finished;
    const said = finished.stdout + finished.stderr;
    if (finished.code === code && (says === undefined || says.test(said))) return finished;
    throw new ExampleError(
      `${this.name}'s kubectl ${args.join(" ")} ended with ${finished.code}, not ${code}: ${said.trim()}`,
    );
  }

  /** Starts kubectl. Without `input` its stdin stays open. */
  start(args: readonly string[], input?: string): Running {
    this.#signal.throwIfAborted();
    const running = this.#kubectl.start(args, input);
    endWithSignal(this.#signal, () => running.child.kill(), running.finished);
    return running;
  }

  /** Opens a shell on a terminal. */
  openShell(pod: string): Shell {
    this.#signal.throwIfAborted();
    const command = this.#kubectl.command("exec", "-it", "-n", EXAMPLE_NAMESPACE, pod, "--", "sh");
    const terminal = new Terminal(command, 90, 24);
    endWithSignal(this.#signal, () => terminal.kill(), terminal.exited);
    return new Shell(terminal, `${pod} # `, this);
  }

  /** States what the person's next sessions are for. */
  async state(reason: string): Promise<void> {
    await this.run(["create", "--raw", "/-/reason", "-f", "-"], {}, reason);
  }

  /** Asks Sallyport for something until its answer has it. */
  async poll<T>(path: string, find: (answer: unknown) => T | undefined): Promise<T> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const { stdout } = await this.run(["get", "--raw", path]);
      const found = find(JSON.parse(stdout));
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new ExampleError(`${path} never had what was expected: ${stdout.trim()}`);
      await this.wait(POLL_MS);
    }
  }

  /** Lets time pass, until the signal ends it. */
  async wait(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.#signal });
  }
}

/** Ends what runs when the signal aborts. */
export function endWithSignal(signal: AbortSignal, end: () => void, ended: Promise<unknown>): void {
  signal.addEventListener("abort", end, { once: true });
  const forget = () => signal.removeEventListener("abort", end);
  ended.then(forget, forget);
}

/** A shell of kubectl on a terminal. */
export class Shell {
  readonly #terminal: Terminal;
  readonly #prompt: string;
  readonly #person: Pick<Person, "wait">;

  /** @param person who types into it */
  constructor(terminal: Terminal, prompt: string, person: Pick<Person, "wait">) {
    this.#terminal = terminal;
    this.#prompt = prompt;
    this.#person = person;
  }

  /** Waits until the terminal shows something. @throws where kubectl ends before */
  shows(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until((shown) => pattern.exec(shown) ?? undefined);
  }

  /** Waits for the prompt, types the lines, and waits for what each of them prints. */
  async type(lines: readonly string[]): Promise<void> {
    await this.#until((shown) => shown.endsWith(this.#prompt) || undefined);
    for (const line of lines) {
      await this.#person.wait(TYPING_PAUSE_MS);
      const before = this.#terminal.shown.length;
      this.#terminal.type(`${line}\n`);
      await this.#until((shown) => shown.slice(before).endsWith(this.#prompt) || undefined);
    }
  }

  /** Types a command that goes on, and waits until it has printed something. */
  async leaveRunning(line: string): Promise<void> {
    await this.type([]);
    const before = this.#terminal.shown.length;
    this.#terminal.type(`${line}\n`);
    await this.#until((shown) => shown.slice(before + line.length).split("\n").length > 2 || undefined);
  }

  /** Leaves the shell. */
  async exit(): Promise<void> {
    await this.type([]);
    this.#terminal.type("exit\n");
    await this.ends(0);
  }

  /** Waits until kubectl ends. */
  async ends(code: number): Promise<void> {
    const ended = await this.#terminal.exited;
    if (ended !== code) throw new ExampleError(`a shell ended with ${ended}, not ${code}: ${this.#terminal.shown}`);
  }

  async #until<T>(find: (shown: string) => T | undefined): Promise<T> {
    try {
      return await this.#terminal.until(find, PATIENCE_MS);
    } catch (error) {
      throw new ExampleError(error instanceof Error ? error.message : String(error));
    }
  }
}

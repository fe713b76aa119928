import type { Container, Pod } from "../api/objects.ts";
import { ContainerLog } from "./container-log.ts";
import { containerEnvironment, type PodFolder } from "./environment.ts";
import type { ContainerProcess, OutputStream } from "./process.ts";
import type { ProcessRunner } from "./runner.ts";

// There are no images, and so no default commands. This waits like a `pause` image, and ends with this
// process, because the pipe that it reads from closes then.
const IDLE_COMMAND = ["sh", "-c", 'trap "exit 0" TERM; read -r _'];

/** An observer of a running container's output. */
export interface Attachment {
  onOutput(stream: OutputStream, chunk: Buffer): void;
}

/** One run of a container, from start to exit. A restart creates a new one. */
export class ContainerRun {
  readonly container: Container;
  readonly log: ContainerLog;
  readonly startedAt = new Date();
  readonly exited: Promise<number>;
  readonly #process: ContainerProcess;
  readonly #attachments: Set<Attachment>;
  readonly #pausing = new Set<Attachment>();

  private constructor(
    container: Container,
    process: ContainerProcess,
    attachments: Set<Attachment>,
    log: ContainerLog,
  ) {
    this.container = container;
    this.#process = process;
    this.#attachments = attachments;
    this.log = log;
    this.exited = process.exited.finally(() => log.finish());
  }

  /** Starts the container's command. Throws CommandError if there is no such program. */
  static async start(pod: Pod, container: Container, folder: PodFolder, runner: ProcessRunner): Promise<ContainerRun> {
    const given = [...(container.command ?? []), ...(container.args ?? [])];
    const isTerminal = container.tty === true;
    const isIdle = given.length === 0 && !isTerminal;
    const fallback = isTerminal ? ["sh"] : IDLE_COMMAND;
    const attachments = new Set<Attachment>();
    const log = new ContainerLog();
    const process = await runner.run({
      command: given.length === 0 ? fallback : given,
      cwd: folder.path,
      env: containerEnvironment(pod, container, folder, isTerminal),
      stdin: isIdle || container.stdin === true,
      tty: isTerminal,
      onOutput: (stream, chunk) => {
        log.append(chunk);
        for (const attachment of attachments) attachment.onOutput(stream, chunk);
      },
    });
    return new ContainerRun(container, process, attachments, log);
  }

  /** Passes further output to an attachment. @returns a function that ends it */
  attach(attachment: Attachment): () => void {
    this.#attachments.add(attachment);
    return () => {
      this.#attachments.delete(attachment);
      this.resume(attachment);
    };
  }

  /** Pauses the container's output for a slow attachment, as a container runtime does. */
  pause(attachment: Attachment): void {
    this.#pausing.add(attachment);
    this.#process.pauseOutput();
  }

  resume(attachment: Attachment): void {
    if (this.#pausing.delete(attachment) && this.#pausing.size === 0) this.#process.resumeOutput();
  }

  /** Writes input to the container. It is dropped unless the container has `stdin: true`. */
  write(chunk: Buffer): boolean {
    return this.container.stdin === true ? this.#process.write(chunk) : true;
  }

  /** Calls the listener whenever input is wanted again, until the returned function is called. */
  onDrain(listener: () => void): () => void {
    return this.#process.onDrain(listener);
  }

  /** Ends an attached client's input. With `stdinOnce` it ends the container's input as well. */
  inputEnded(): void {
    if (this.container.stdinOnce === true) this.#process.endInput();
  }

  resize(columns: number, rows: number): void {
    this.#process.resize(columns, rows);
  }

  /** Writes a line of the cluster's own to the container's log. */
  note(line: string): void {
    this.log.append(Buffer.from(line));
  }

  /** Sends SIGTERM now and SIGKILL after the grace period. Resolves at the exit. */
  async stop(graceMs: number): Promise<void> {
    for (const attachment of this.#pausing) this.resume(attachment);
    this.#process.kill(graceMs > 0 ? "SIGTERM" : "SIGKILL");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), graceMs);
    await this.exited;
    clearTimeout(timer);
  }
}

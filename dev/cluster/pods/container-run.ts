import type { Container, Pod } from "../api/objects.ts";
import { ContainerLog } from "./container-log.ts";
import { containerEnvironment, type PodFolder } from "./environment.ts";
import type { ContainerProcess, OutputStream } from "./process.ts";
import type { ProcessRunner } from "./runner.ts";

// There are no images, so no command of an image either. This waits as a `pause` image would, and ends with us: when
// this process dies in whatever way, the pipe that it reads from closes.
const IDLE_COMMAND = ["sh", "-c", 'trap "exit 0" TERM; read -r _'];

/** Who looks at a container's output while it runs. */
export interface Attachment {
  onOutput(stream: OutputStream, chunk: Buffer): void;
}

/** One run of a container, from its start to its exit. A restart makes a new one. */
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

  /** Starts the container's command; throws CommandError when there is none such. */
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

  /** Shows an attachment the output from now on; the returned function ends that. */
  attach(attachment: Attachment): () => void {
    this.#attachments.add(attachment);
    return () => {
      this.#attachments.delete(attachment);
      this.resume(attachment);
    };
  }

  /** Stops reading the container's output for the sake of a slow attachment, as a container runtime does. */
  pause(attachment: Attachment): void {
    this.#pausing.add(attachment);
    this.#process.pauseOutput();
  }

  resume(attachment: Attachment): void {
    if (this.#pausing.delete(attachment) && this.#pausing.size === 0) this.#process.resumeOutput();
  }

  /** Input for the container; it goes nowhere unless the container has `stdin: true`. */
  write(chunk: Buffer): boolean {
    return this.container.stdin === true ? this.#process.write(chunk) : true;
  }

  /** Calls the listener whenever input is wanted again, until the returned function is called. */
  onDrain(listener: () => void): () => void {
    return this.#process.onDrain(listener);
  }

  /** An attached client has ended its input; that is the container's end of input only with `stdinOnce`. */
  inputEnded(): void {
    if (this.container.stdinOnce === true) this.#process.endInput();
  }

  resize(columns: number, rows: number): void {
    this.#process.resize(columns, rows);
  }

  /** A line of the cluster's own in the container's log. */
  note(line: string): void {
    this.log.append(Buffer.from(line));
  }

  /** SIGTERM now, SIGKILL after the grace period; resolves at the exit. */
  async stop(graceMs: number): Promise<void> {
    for (const attachment of this.#pausing) this.resume(attachment);
    this.#process.kill(graceMs > 0 ? "SIGTERM" : "SIGKILL");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), graceMs);
    await this.exited;
    clearTimeout(timer);
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import type { WebSocket } from "ws";
import { badRequest } from "../api/status.ts";
import { containerEnvironment } from "../pods/environment.ts";
import type { Kubelet } from "../pods/kubelet.ts";
import type { ContainerProcess } from "../pods/process.ts";
import { CommandError, type ProcessRunner } from "../pods/runner.ts";
import { CHANNEL, ChannelConnection, type ChannelProtocol } from "./channels.ts";
import { finish, greet, ResizeReader, type SessionTarget, type StreamOptions } from "./remote-command.ts";

const HANGUP_GRACE_MS = 1_000;
// Sizes and input from before the process has started. A client sends little before it receives an answer.
const MAX_EARLY_INPUT = 1_000;

/** @returns the command of an exec; throws 400 without one */
export function execCommand(query: URLSearchParams): string[] {
  const command = query.getAll("command");
  if (command.length === 0) throw badRequest("you must specify at least 1 command for the container");
  return command;
}

/** Runs a command for a session. Resolves when the client has left. */
export async function exec(
  socket: WebSocket,
  protocol: ChannelProtocol,
  { pod, container }: SessionTarget,
  command: readonly string[],
  options: StreamOptions,
  kubelet: Kubelet,
  runner: ProcessRunner,
): Promise<void> {
  let process: ContainerProcess | undefined;
  const early: ((started: ContainerProcess) => void)[] = [];
  const whenStarted = (action: (started: ContainerProcess) => void): void => {
    if (process !== undefined) action(process);
    else if (early.length < MAX_EARLY_INPUT) early.push(action);
  };
  const resize = new ResizeReader((columns, rows) => whenStarted((started) => started.resize(columns, rows)));

  let closed: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const connection = new ChannelConnection(socket, protocol, {
    onData: (channel, data) => {
      if (channel === CHANNEL.resize) resize.push(data);
      else if (channel === CHANNEL.stdin && options.stdin) {
        whenStarted((started) => {
          if (!started.write(data)) connection.pauseInput();
        });
      }
    },
    onHalfClose: (channel) => {
      if (channel === CHANNEL.stdin && options.stdin) whenStarted((started) => started.endInput());
    },
    onPressure: (paused) => (paused ? process?.pauseOutput() : process?.resumeOutput()),
    onClose: closed,
  });
  greet(connection, options);

  const worker = kubelet.worker(pod);
  const run = worker?.run(container.name);
  if (worker === undefined || run === undefined || run.log.finished) {
    finish(connection, { kind: "error", message: `container not found ("${container.name}")` });
    return gone;
  }
  try {
    process = await runner.run({
      command,
      cwd: worker.folder.path,
      env: containerEnvironment(pod, container, worker.folder, options.tty),
      stdin: options.stdin,
      tty: options.tty,
      onOutput: (stream, chunk) => {
        if (options[stream]) connection.send(CHANNEL[stream], chunk);
      },
    });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const id = pod.metadata.uid.replaceAll("-", "");
    const message =
      `error executing command in container: failed to exec in container: failed to start exec "${id}": ` +
      `OCI runtime exec failed: exec failed: unable to start container process: ${error.message}`;
    finish(connection, { kind: "error", message });
    return gone;
  }
  process.onDrain(() => connection.resumeInput());
  for (const action of early) action(process);

  const ended = process.exited.then((code) => {
    finish(connection, code === 0 ? { kind: "success" } : { kind: "exit", code, command });
    return true;
  });
  if (!(await Promise.race([ended, gone.then(() => false)]))) await hangUp(process, ended);
  await gone;
}

// The client left first. A real runtime leaves the command running, but it should not on a user's own
// machine.
async function hangUp(process: ContainerProcess, ended: Promise<unknown>): Promise<void> {
  process.endInput();
  process.resumeOutput();
  process.kill("SIGHUP");
  const timeout = new AbortController();
  const kill = sleep(HANGUP_GRACE_MS, undefined, { signal: timeout.signal }).then(
    () => process.kill("SIGKILL"),
    () => undefined,
  );
  await ended;
  timeout.abort();
  await kill;
}

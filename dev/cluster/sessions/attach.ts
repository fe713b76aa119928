import type { WebSocket } from "ws";
import type { Attachment } from "../pods/container-run.ts";
import type { Kubelet } from "../pods/kubelet.ts";
import { CHANNEL, ChannelConnection, type ChannelProtocol } from "./channels.ts";
import { finish, greet, ResizeReader, type SessionTarget, type StreamOptions } from "./remote-command.ts";

/** Connects the socket to a container's own process. Resolves when the client has left. */
export async function attach(
  socket: WebSocket,
  protocol: ChannelProtocol,
  { pod, container }: SessionTarget,
  options: StreamOptions,
  kubelet: Kubelet,
): Promise<void> {
  const run = kubelet.worker(pod)?.run(container.name);
  const resize = new ResizeReader((columns, rows) => run?.resize(columns, rows));
  let closed: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const connection = new ChannelConnection(socket, protocol, {
    onData: (channel, data) => {
      if (channel === CHANNEL.resize) resize.push(data);
      else if (channel === CHANNEL.stdin && options.stdin && run?.write(data) === false) connection.pauseInput();
    },
    onHalfClose: (channel) => {
      if (channel === CHANNEL.stdin && options.stdin) run?.inputEnded();
    },
    onPressure: (paused) => (paused ? run?.pause(attachment) : run?.resume(attachment)),
    onClose: closed,
  });
  const attachment: Attachment = {
    onOutput: (stream, chunk) => {
      if (options[stream]) connection.send(CHANNEL[stream], chunk);
    },
  };
  greet(connection, options);
  if (run === undefined || run.log.finished) {
    finish(connection, { kind: "error", message: `container not found ("${container.name}")` });
    return gone;
  }
  const detach = run.attach(attachment);
  const stopDraining = run.onDrain(() => connection.resumeInput());
  void run.exited.then(() => finish(connection, { kind: "success" }));
  await gone;
  detach();
  stopDraining();
  if (options.stdin) run.inputEnded();
}

import { connect, type Socket } from "node:net";
import type { Pod } from "../api/objects.ts";
import type { Kubelet } from "../pods/kubelet.ts";

export interface TargetHandlers {
  onData(chunk: Buffer): void;
  /** The target sends nothing more. `error` says why, unless it closed by itself. */
  onEnd(error: string | undefined): void;
  /** Both directions are closed. */
  onClosed(): void;
}

/** One forwarded connection to a port of a pod. */
export interface ForwardTarget {
  /** Writes data. False means that `onDrain` will be called when there is room again. */
  write(chunk: Buffer, onDrain: () => void): boolean;
  endInput(): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

/** Connects to the pod's port. If nothing listens there, the target ends with containerd's message. */
export function connectTarget(kubelet: Kubelet, pod: Pod, port: number, handlers: TargetHandlers): ForwardTarget {
  const hostPort = kubelet.worker(pod)?.hostPort(port);
  let ended = false;
  const end = (error?: string): void => {
    if (ended) return;
    ended = true;
    handlers.onEnd(error);
  };
  if (hostPort === undefined) {
    queueMicrotask(() => {
      end(forwardError(pod, port, refused(port)));
      handlers.onClosed();
    });
    return ABSENT;
  }
  const socket = connect({ host: "127.0.0.1", port: hostPort, allowHalfOpen: true });
  socket.setNoDelay(true);
  socket.on("data", (chunk: Buffer) => handlers.onData(chunk));
  socket.once("end", () => end());
  socket.once("close", () => {
    end();
    handlers.onClosed();
  });
  socket.once("error", (error: NodeJS.ErrnoException) => {
    end(forwardError(pod, port, error.code === "ECONNREFUSED" ? refused(port) : error.message));
  });
  return overSocket(socket);
}

function overSocket(socket: Socket): ForwardTarget {
  return {
    write: (chunk, onDrain) => {
      if (!socket.writable || socket.write(chunk)) return true;
      // Closing ends the wait as well. Otherwise a reset target would block the others for ever.
      const done = (): void => {
        socket.off("drain", done);
        socket.off("close", done);
        onDrain();
      };
      socket.once("drain", done);
      socket.once("close", done);
      return false;
    },
    endInput: () => void socket.end(),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    destroy: () => void socket.destroy(),
  };
}

const ABSENT: ForwardTarget = {
  write: () => true,
  endInput: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
  destroy: () => undefined,
};

const refused = (port: number): string =>
  `IPv4: dial tcp4 127.0.0.1:${port}: connect: connection refused IPv6 dial tcp6: address localhost: no suitable address found `;

function forwardError(pod: Pod, port: number, why: string): string {
  const sandbox = pod.metadata.uid.replaceAll("-", "");
  return (
    `error forwarding port ${port} to pod ${sandbox}, uid : failed to execute portforward in network namespace "host": ` +
    `failed to connect to localhost:${port} inside namespace "${sandbox}", ${why}`
  );
}

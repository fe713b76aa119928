/** Which loopback ports the stack listens on. */
import { createServer, type Server } from "node:net";
import { errorCode } from "../../common/errors.ts";
import { PERSONA_NAMES, type PersonaName } from "../access/personas.ts";
import { StackError } from "./errors.ts";

export const LOOPBACK = "127.0.0.1";
export const DEFAULT_BASE_PORT = 8710;

/** A port found free may be taken before it is bound. Beyond this many times it is no coincidence. */
const MAX_PORT_PLANS = 5;

export interface PortPlan {
  readonly personas: Readonly<Record<PersonaName, number>>;
  /** The Access fake's own socket, which is also the tokens' issuer. */
  readonly issuer: number;
  readonly tls: Readonly<Record<PersonaName, number>>;
  /** The address where people sign in: with TLS, and what is behind that. */
  readonly front: { readonly tls: number; readonly plain: number };
  /** The personas' ports for the second cluster, if there is one. Any free ones. */
  readonly second: Readonly<Record<PersonaName, number>> | undefined;
  /** The edge itself, which bypasses the Access fake; only on request. */
  readonly worker: number | undefined;
  /** Whether another plan may be tried if one of these ports is taken meanwhile. */
  readonly replaceable: boolean;
}

/** Highest `--port` for which every persona still has one. */
export const MAX_BASE_PORT = 65_535 - PERSONA_NAMES.length + 1;

/**
 * Plans the ports. The personas' are `base`, `base + 1`, …. The issuer, the TLS ports and the one to sign in
 * at follow if those are free; otherwise they are any free ones.
 *
 * @param requested a base port, 0 for any free ports, undefined for the usual ones if they are free
 * @param more what else needs ports; any free ones
 * @throws StackError if a requested port is taken
 */
export async function planPorts(requested: number | undefined, { workerSocket, second }: MorePorts): Promise<PortPlan> {
  const { replaceable, ports } = await planStackPorts(requested);
  const known = new Set(ports);
  // More than needed, because the planned ones are not bound yet and may be found free again.
  const free = (await pickFree(known.size + PERSONA_NAMES.length + 2)).filter((port) => !known.has(port));
  const [plain = 0, worker] = free.slice(PERSONA_NAMES.length);
  return {
    ...assign(ports, plain),
    replaceable,
    ...(workerSocket && { worker }),
    ...(second && { second: byPersona(free) }),
  };
}

/** Ports that only some stacks have. */
export interface MorePorts {
  /** One for the edge itself. */
  readonly workerSocket: boolean;
  /** One per persona for the second cluster. */
  readonly second: boolean;
}

function byPersona(ports: readonly number[]): Record<PersonaName, number> {
  return Object.fromEntries(PERSONA_NAMES.map((name, index) => [name, ports[index]])) as Record<PersonaName, number>;
}

/** @returns the personas' ports, the issuer's, the personas' with TLS, and the one to sign in at */
async function planStackPorts(
  requested: number | undefined,
): Promise<{ readonly ports: readonly number[]; readonly replaceable: boolean }> {
  const count = PERSONA_NAMES.length;
  const base = requested ?? DEFAULT_BASE_PORT;
  if (base === 0) return { ports: await pickFree(2 * count + 2), replaceable: true };

  const wanted = range(base, count);
  const taken = await firstTaken(wanted);
  if (taken !== undefined) {
    if (requested === undefined) return { ports: await pickFree(2 * count + 2), replaceable: true };
    throw new StackError(portTakenMessage(taken));
  }
  const following = range(base + count, count + 2);
  const isFree = (following.at(-1) ?? 0) <= 65_535 && (await firstTaken(following)) === undefined;
  const rest = isFree ? following : await pickFree(count + 2);
  return { ports: [...wanted, ...rest], replaceable: requested === undefined };
}

/** Another program took one of the planned ports before the start. */
export class PortsTakenError extends Error {
  override readonly name = "PortsTakenError";
}

/** Plans and attempts a start, and plans again if a port was taken meanwhile. */
export async function withPortPlan<T>(
  requested: number | undefined,
  more: MorePorts,
  attempt: (plan: PortPlan) => Promise<T>,
): Promise<T> {
  for (let plans = 1; ; plans++) {
    const plan = await planPorts(requested, more);
    try {
      return await attempt(plan);
    } catch (error) {
      if (!(error instanceof PortsTakenError)) throw error;
      if (!plan.replaceable || plans === MAX_PORT_PLANS) throw new StackError(error.message);
    }
  }
}

/** The message for a port that another program listens on. */
export function portTakenMessage(port: number): string {
  return `port ${port} on ${LOOPBACK} is taken by another program\nChoose another with --port N (N to N+3 are the personas'), or --port 0 for any free ones.`;
}

function assign(ports: readonly number[], plain: number): Omit<PortPlan, "replaceable"> {
  const count = PERSONA_NAMES.length;
  const issuer = ports[count];
  const front = ports[2 * count + 1];
  if (issuer === undefined || front === undefined) throw new RangeError("the port plan is too short");
  return {
    personas: byPersona(ports),
    issuer,
    tls: byPersona(ports.slice(count + 1)),
    front: { tls: front, plain },
    second: undefined,
    worker: undefined,
  };
}

function range(first: number, length: number): number[] {
  return Array.from({ length }, (_, index) => first + index);
}

/** @returns different free ports; all are held until the last is found */
async function pickFree(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)));
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === "string") throw new StackError("the system gave no port");
    return address.port;
  });
  await Promise.all(servers.map(close));
  return ports;
}

async function firstTaken(ports: readonly number[]): Promise<number | undefined> {
  for (const port of ports) {
    try {
      await close(await listen(port));
    } catch (error) {
      if (errorCode(error) === "EADDRINUSE") return port;
      if (errorCode(error) === "EACCES") throw new StackError(`port ${port} needs privileges: choose one from 1024 up`);
      throw error;
    }
  }
  return undefined;
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => resolve(server));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

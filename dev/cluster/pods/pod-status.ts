import {
  type Container,
  type ContainerState,
  type ContainerStatus,
  type Pod,
  type PodStatus,
  timestamp,
} from "../api/objects.ts";

/** What a pod's worker knows about one container. */
export interface ContainerRecord {
  readonly name: string;
  readonly image: string;
  state: ContainerState;
  lastState: ContainerState;
  restartCount: number;
  /** It will run (again). */
  pending: boolean;
}

/** The state of a container before it runs. */
export const newRecord = ({ name, image }: Container): ContainerRecord => ({
  ...{ name, image, lastState: {}, restartCount: 0, pending: true },
  state: { waiting: { reason: "ContainerCreating" } },
});

/**
 * @returns the pod's status as the kubelet reports it; ephemeral containers appear in it but do not affect
 *   the phase
 */
export function podStatus(
  pod: Pod,
  containers: readonly ContainerRecord[],
  ephemeral: readonly ContainerRecord[],
  started: Date,
): PodStatus {
  const phase = phaseOf(containers);
  const ready = containers.every(({ state }) => state.running !== undefined);
  const previous = pod.status.conditions ?? [];
  const condition = (type: string, holds: boolean) => {
    const status = holds ? ("True" as const) : ("False" as const);
    const before = previous.find((candidate) => candidate.type === type && candidate.status === status);
    const isOver = phase === "Succeeded" || phase === "Failed";
    const reason = isOver ? (phase === "Succeeded" ? "PodCompleted" : "PodFailed") : "ContainersNotReady";
    return {
      type,
      status,
      lastTransitionTime: before?.lastTransitionTime ?? timestamp(),
      ...(holds ? {} : { reason }),
    };
  };
  return {
    phase,
    conditions: [
      condition("Initialized", true),
      condition("Ready", ready),
      condition("ContainersReady", ready),
      condition("PodScheduled", true),
    ],
    hostIP: "127.0.0.1",
    podIP: "127.0.0.1",
    podIPs: [{ ip: "127.0.0.1" }],
    startTime: timestamp(started),
    containerStatuses: containers.map((record) => containerStatus(pod, record)),
    ...(ephemeral.length === 0
      ? {}
      : { ephemeralContainerStatuses: ephemeral.map((record) => ephemeralStatus(pod, record)) }),
    qosClass: "BestEffort",
  };
}

function phaseOf(containers: readonly ContainerRecord[]): PodStatus["phase"] {
  if (containers.some(({ pending }) => pending)) {
    const hasRun = containers.some(({ state, lastState }) => state.running ?? lastState.terminated ?? state.terminated);
    return hasRun ? "Running" : "Pending";
  }
  return containers.every(({ state }) => state.terminated?.exitCode === 0) ? "Succeeded" : "Failed";
}

// There are no startup or readiness probes.
function ephemeralStatus(pod: Pod, record: ContainerRecord): ContainerStatus {
  const { started: _started, ...status } = containerStatus(pod, record);
  return { ...status, ready: false };
}

function containerStatus(pod: Pod, { name, image, state, lastState, restartCount }: ContainerRecord): ContainerStatus {
  const isRunning = state.running !== undefined;
  const containerID = `embedded://${pod.metadata.uid}/${name}/${restartCount}`;
  return {
    name,
    ready: isRunning,
    started: isRunning,
    restartCount,
    image,
    imageID: image,
    containerID,
    state,
    lastState,
  };
}
